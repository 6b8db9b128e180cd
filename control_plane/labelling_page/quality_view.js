// The view of how good the labels are: agreement, and labels that are probably wrong, which can be corrected.

import { byId, formatNumber, make, makeButton, makeText } from "./dom.js";
import { Editor } from "./editor.js";
import { describeIntents, describeOpinion } from "./opinions.js";

const MOST = 50;

/** Agreement and suspected errors. `shell` says things, reports errors and gives the taxonomy. */
export class QualityView {
  #api; #labeler; #shell; #editor; #question = null;

  constructor(api, labeler, shell) {
    this.#api = api;
    this.#labeler = labeler;
    this.#shell = shell;
    byId("review-editor").replaceChildren();
    this.#editor = new Editor(byId("review-editor"), { onSave: () => this.#save(), saveText: "Save correction",
      actions: [makeButton("Back without a change", () => this.#close())] });
  }

  /** Show the view with fresh figures; a correction that is under way stays. */
  async open() {
    await this.#shell.attempt(async () => {
      this.#editor.setIntents(this.#shell.activeIntents());
      const [agreement, { suspects }] = await Promise.all([this.#api.agreement(), this.#api.suspects(MOST)]);
      this.#showAgreement(agreement);
      this.#showSuspects(suspects);
    });
  }

  close() {}

  /** Do what a key stands for while a label is corrected; returns whether it stands for anything. */
  press(key, isShifted, digit) { return this.#question !== null && this.#editor.press(key, isShifted, digit); }

  /** Offer the intents of a taxonomy that has changed. */
  setIntents(intents) { this.#editor.setIntents(intents); }

  #showAgreement({ questions, annotations, alpha, by_label: byLabel }) {
    byId("agreement").textContent = questions === 0
      ? "No question has two opinions yet; about every twentieth gets a second one."
      : `Krippendorff's alpha is ${formatNumber(alpha)} on ${questions} questions with ${annotations} opinions: 1 is `
        + "perfect, 0 is chance, and below 0.67 an intent wants a clearer description.";
    const known = Object.entries(byLabel).filter(([, value]) => value !== null).sort((one, other) => one[1] - other[1]);
    byId("agreement-labels").replaceChildren(...known.map(([name, value]) => make("li", {},
      makeText("span", this.#shell.displayName(name)), ` ${formatNumber(value)}`)));
  }

  #showSuspects(suspects) {
    byId("suspects-note").textContent = suspects.length === 0
      ? "None: either the labels are good, or no model has been trained on them yet."
      : `The ${suspects.length} that a model, which was not trained on them, contradicts most surely.`;
    byId("suspects").replaceChildren(...suspects.map((suspect) => make("li", {},
      makeText("p", suspect.question, { className: "text" }),
      make("p", {}, ...this.#describeDoubt(suspect)),
      makeButton("Open", () => this.#openSuspect(suspect), { "aria-label": `Open: ${suspect.question}` }))));
  }

  #describeDoubt(suspect) {
    const intent = makeText("strong", this.#shell.displayName(suspect.intent));
    const said = describeIntents(suspect.correct_intent, (name) => this.#shell.displayName(name));
    const verb = suspect.kind === "missing" ? "misses" : "doubts";
    return ["Labelled ", makeText("span", said), `; the model ${verb} `, intent,
      ` (score ${formatNumber(suspect.score)}).`];
  }

  async #openSuspect(suspect) {
    await this.#shell.attempt(async () => {
      const question = await this.#api.question(suspect.id);
      this.#question = question;
      byId("review-doubt").replaceChildren(...this.#describeDoubt(suspect));
      this.#editor.show(question, { intents: question.correct_intent, time: question.correct_time_intent });
      byId("review-annotations").replaceChildren(...question.annotations.map((said) => make("li", {},
        ...describeOpinion(said, (name) => this.#shell.displayName(name)))));
      this.#turn(true);
      byId("review-title").focus();
    });
  }

  async #save() {
    const label = this.#editor.readLabel();
    if (!label) return;
    this.#editor.setBusy(true);
    const isSaved = await this.#shell.attempt(() => this.#api.label(this.#question.id,
      { ...label, labeler_id: this.#labeler, review: true }));
    this.#editor.setBusy(false);
    if (!isSaved) return;
    this.#close();
    await this.open();
    this.#shell.say("Corrected. The earlier labels stay in the question's history.");
  }

  #close() {
    this.#question = null;
    this.#turn(false);
    byId("quality-title").scrollIntoView({ block: "nearest" });
  }

  #turn(isReviewing) {
    byId("review").hidden = !isReviewing;
    byId("quality-overview").hidden = isReviewing;
  }
}
