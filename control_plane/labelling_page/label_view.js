// The view to label: one question after the other, from the queue. Owns what its keys do.

import { explain } from "./api.js";
import { byId, make, makeButton } from "./dom.js";
import { Editor } from "./editor.js";
import { Progress, recall, remember } from "./memory.js";
import { LabelQueue } from "./queue.js";

const WATCH_MS = 15_000;
const ACTIVE_MS = 300_000; // Somebody who did nothing for so long has left, and their questions may go to others.

/** Labelling by one person. `shell` says things, reports errors and gives the taxonomy. */
export class LabelView {
  #api; #labeler; #shell; #queue; #progress; #editor; #isBusy = false; #lastActAt = Date.now(); #timer;
  #skip; #undo; #goOn;

  constructor(api, labeler, shell) {
    this.#api = api;
    this.#labeler = labeler;
    this.#shell = shell;
    this.#queue = new LabelQueue(api, labeler);
    this.#progress = new Progress();
    const key = (letter) => make("kbd", { "aria-hidden": "true" }, letter);
    this.#skip = makeButton("Skip ", () => this.skip());
    this.#undo = makeButton("Undo ", () => this.undo());
    this.#goOn = makeButton("Go on to the next question", () => this.#next(), { hidden: true });
    this.#skip.append(key("S"));
    this.#undo.append(key("U"));
    byId("label-editor").replaceChildren();
    this.#editor = new Editor(byId("label-editor"), { onSave: () => this.save(), saveText: "Save",
      onChange: (choice) => this.#keepDraft(choice), actions: [this.#skip, this.#undo, this.#goOn] });
    byId("look-again").onclick = () => this.open();
  }

  /** Show the view: the question that is being labelled, or the first of the queue. */
  async open() {
    this.#timer ??= setInterval(() => this.#watch(), WATCH_MS);
    await this.#shell.attempt(async () => {
      this.#editor.setIntents(this.#shell.activeIntents());
      const draft = recall("draft");
      if (this.#queue.current === undefined && draft) this.#queue.putBack(draft.question);
      if (this.#queue.current === undefined || draft) await this.#queue.fill();
      this.#show();
    });
  }

  /** Stop what runs in the background. */
  close() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Offer the intents of a taxonomy that has changed. */
  setIntents(intents) { this.#editor.setIntents(intents); }

  async save() {
    const question = this.#queue.current;
    const label = question && this.#editor.readLabel();
    if (!label) return;
    const choice = this.#editor.choice;
    await this.#finish(() => this.#api.label(question.id, { ...label, labeler_id: this.#labeler }), choice, false);
  }

  async skip() {
    const question = this.#queue.current;
    if (question) await this.#finish(() => this.#api.skip(question.id, this.#labeler), this.#editor.choice, true);
  }

  /** Withdraw the last label or skip, and show its question with what was chosen. */
  async undo() {
    const last = this.#progress.last;
    if (!last) { this.#shell.say("There is nothing to undo."); return; }
    await this.#exclusively(async () => {
      try {
        await this.#api.undo(last.question.id, this.#labeler);
      } catch (error) {
        if (error.status === 409 || error.status === 404) this.#progress.drop(false);
        throw error;
      }
      this.#progress.drop(true);
      this.#queue.putBack(last.question);
      this.#show(last.choice);
      this.#shell.say("Undone. Choose again, or skip it.");
    });
  }

  /** Do what a key stands for; returns whether it stands for anything. */
  press(key, isShifted, digit) {
    if (this.#queue.current === undefined) return key === "u" && (this.undo(), true);
    const acts = { s: () => this.skip(), u: () => this.undo() };
    acts[key]?.();
    return key in acts || this.#editor.press(key, isShifted, digit);
  }

  /** Note that somebody is here: questions stay theirs. */
  noteActivity() { this.#lastActAt = Date.now(); }

  async #finish(send, choice, isSkip) {
    await this.#exclusively(async () => {
      const question = this.#queue.current;
      try {
        await send();
      } catch (error) {
        // Only these mean that this question takes no label from here: going on is all that is left.
        this.#goOn.hidden = error.status !== 409 && error.status !== 404;
        throw error;
      }
      this.#progress.add(question, choice, isSkip);
      this.#shell.say(isSkip ? "Skipped." : "Saved.");
      await this.#next();
    });
  }

  async #next() {
    remember("draft", null);
    this.#queue.next();
    if (this.#queue.current === undefined) await this.#shell.attempt(() => this.#queue.fill());
    else this.#queue.keepUp().catch((error) => this.#shell.report(error));
    this.#show();
  }

  /** One thing at a time: a second Enter must not label the next question. */
  async #exclusively(act) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#editor.setBusy(true);
    try {
      await this.#shell.attempt(act);
    } finally {
      this.#isBusy = false;
      this.#editor.setBusy(false);
    }
  }

  #show(choice = null) {
    const question = this.#queue.current;
    byId("label-editor").hidden = question === undefined;
    byId("empty").hidden = question !== undefined;
    this.#goOn.hidden = true;
    this.#showProgress();
    if (question === undefined) return;
    const draft = recall("draft");
    this.#editor.show(question, { choice: choice ?? (draft?.question.id === question.id ? draft.choice : null) });
    this.#editor.focus();
  }

  #showProgress() {
    const { labelled, skipped, last } = this.#progress;
    byId("progress").textContent = `This session: ${labelled} labelled, ${skipped} skipped; ${
      this.#queue.length} at hand`;
    byId("lease").hidden = !this.#queue.isExpired;
    this.#undo.disabled = !last;
  }

  #keepDraft(choice) {
    this.noteActivity();
    remember("draft", { question: this.#queue.current, choice });
  }

  async #watch() {
    const isHere = !document.hidden && Date.now() - this.#lastActAt < ACTIVE_MS;
    try {
      if (isHere && this.#queue.current !== undefined) await this.#queue.keepUp();
    } catch (error) {
      this.#shell.say(explain(error)); // It is said when somebody saves; here it would only interrupt.
    }
    this.#showProgress();
  }
}
