// The view of disputed questions: what two people say of each, and one after the other to decide. Owns its keys.

import { byId, make, makeButton, makeText } from "./dom.js";
import { Editor } from "./editor.js";
import { describeOpinion } from "./opinions.js";

const MOST = 50;

/** Deciding disputes. `shell` says things, reports errors and gives the taxonomy. */
export class DisputesView {
  #api; #labeler; #shell; #editor; #disputes = []; #question = null; #taken = -1; #isBusy = false;

  constructor(api, labeler, shell) {
    this.#api = api;
    this.#labeler = labeler;
    this.#shell = shell;
    byId("dispute-editor").replaceChildren();
    const next = makeButton("Next opinion ", () => this.#takeOpinion(this.#taken + 1));
    next.append(make("kbd", { "aria-hidden": "true" }, "O"));
    this.#editor = new Editor(byId("dispute-editor"), { onSave: () => this.#decide(), saveText: "Decide",
      actions: [next, makeButton("Back without deciding", () => this.#close())] });
  }

  /** Show the view with the disputes as they are now; one that is being decided stays. */
  async open() {
    await this.#shell.attempt(async () => {
      this.#editor.setIntents(this.#shell.activeIntents());
      await this.#fill();
    });
  }

  close() {}

  /** Do what a key stands for; returns whether it stands for anything. */
  press(key, isShifted, digit) {
    if (this.#question !== null && key !== "o") return this.#editor.press(key, isShifted, digit);
    if (key !== "o" || this.#disputes.length === 0) return false;
    if (this.#question === null) this.#show(this.#disputes[0]);
    else this.#takeOpinion(this.#taken + 1);
    return true;
  }

  /** Offer the intents of a taxonomy that has changed. */
  setIntents(intents) { this.#editor.setIntents(intents); }

  async #fill() {
    const { questions, next_cursor: more } = await this.#api.disputes(MOST);
    this.#disputes = questions;
    byId("disputes-note").textContent = questions.length === 0 ? "None: nobody contradicts anybody."
      : `${more ? `The oldest ${questions.length}` : questions.length} of which people say different things. They are `
        + "in no training until somebody decides.";
    byId("disputes-list").replaceChildren(...questions.map((question) => make("li", {},
      makeText("p", question.question, { className: "text" }),
      make("ul", {}, ...this.#opinions(question).map((said) => make("li", {}, ...this.#describe(said)))),
      makeButton("Open", () => this.#show(question), { "aria-label": `Open: ${question.question}` }))));
  }

  /** The labels that differ: a skip is no opinion, and one that was undone is none any more. */
  #opinions(question) {
    return question.annotations.filter((said) => said.intents !== null && !said.undone_at);
  }

  #describe(said) { return describeOpinion(said, (name) => this.#shell.displayName(name)); }

  #show(question) {
    this.#question = question;
    this.#taken = -1;
    this.#editor.show(question);
    byId("dispute-opinions").replaceChildren(...this.#opinions(question).map((said, place) => make("li", {},
      ...this.#describe(said), " ",
      makeButton("Choose this", () => this.#takeOpinion(place),
        { "aria-label": `Choose what ${said.labeler_id} said` }))));
    this.#turn(true);
    this.#editor.focus();
  }

  /** Choose what somebody said; it can be changed before it is saved. */
  #takeOpinion(place) {
    const opinions = this.#opinions(this.#question);
    this.#taken = place % opinions.length;
    const said = opinions[this.#taken];
    this.#editor.show(this.#question, { intents: said.intents, time: said.time_intent });
    this.#editor.focus();
    this.#shell.say(`Chosen as ${said.labeler_id} said.`);
  }

  async #decide() {
    const label = !this.#isBusy && this.#editor.readLabel();
    if (!label) return;
    this.#setBusy(true);
    const isSaved = await this.#shell.attempt(async () => {
      await this.#api.label(this.#question.id, { ...label, labeler_id: this.#labeler, review: true });
      await this.#fill();
    });
    this.#setBusy(false);
    if (!isSaved) return;
    if (this.#disputes.length) this.#show(this.#disputes[0]);
    else this.#close();
    this.#shell.say("Decided. What people said stays in the question's history.");
  }

  /** One thing at a time: a second Enter must not decide the next question. */
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.#editor.setBusy(isBusy);
  }

  #close() {
    this.#question = null;
    this.#turn(false);
    byId("disputes-title").focus();
  }

  #turn(isDeciding) {
    byId("dispute").hidden = !isDeciding;
    byId("disputes-overview").hidden = isDeciding;
  }
}
