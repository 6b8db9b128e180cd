// Shows one question and lets somebody choose its intents and its time. Knows neither the queue nor the API.

import { ChoiceError, beginChoice, chooseIntents, keepActive, labelOf, toggleIntent, toggleOutOfScope }
  from "./choice.js";
import { describeTime, formatMoment, formatNumber, languageOf, make, makeButton, makeText } from "./dom.js";

const SHOWN_SCORES = 5;
const TIME_TYPES = ["today", "tomorrow", "this_week", "next_week", "weekend", "this_month", "next_month", "last_month",
  "explicit_month", "this_quarter", "first_half", "second_half", "this_year", "next_year", "last_year",
  "year_after_next", "explicit_year", "year_range", "explicit_date", "date_range", "recent_years", "recent_months"];
const REASONS = {
  uncertain: "uncertain: the model was close to deciding otherwise",
  diverse: "diverse: it stands for many that are alike",
  random: "random: drawn by lot, to measure how often answers are right",
};
let editors = 0;

/** A form for one question. `actions` are elements that stand beside its button to save. */
export class Editor {
  #intents = []; #question = null; #time = null; #choice = null; #buttons = new Map();
  #onSave; #onChange; #parts; #number = ++editors;

  /** Build the form within `place`. `onSave` is called without arguments, `onChange` with each new choice. */
  constructor(place, { onSave, onChange = () => {}, actions = [], saveText = "Save" }) {
    this.#onSave = onSave;
    this.#onChange = onChange;
    this.#parts = this.#build(saveText, actions);
    this.#parts.form.addEventListener("submit", (event) => { event.preventDefault(); onSave(); });
    place.append(this.#parts.form);
  }

  /** The choice as it stands. */
  get choice() { return this.#choice; }

  /** Offer these active intents of the taxonomy, in order; a choice loses those that are gone. */
  setIntents(intents) {
    this.#intents = intents;
    this.#buttons = new Map(intents.map((intent, index) => [intent.name, this.#makeToggle(intent, index)]));
    this.#parts.intents.replaceChildren(...this.#buttons.values(), this.#parts.outOfScope);
    if (this.#choice) this.#set(keepActive(this.#choice, this.#names()));
  }

  /** Show a question; `choice` is what was chosen before, else `intents` and `time` are where it begins. */
  show(question, { choice = null, intents = null, time = question.time_intent } = {}) {
    this.#question = question;
    this.#time = time;
    this.#parts.text.textContent = question.question;
    this.#parts.text.lang = languageOf(question.question);
    this.#parts.why.textContent = question.slice === undefined ? "" : `Why this one: ${
      REASONS[question.slice] ?? "a second opinion, or asked for directly"}.`;
    this.#parts.predicted.replaceChildren(...this.#describePrediction(question));
    this.#set(keepActive(choice ?? beginChoice(intents, time), this.#names()));
    this.complain(null);
  }

  /** Put the cursor of keyboards and screen readers on the question. */
  focus() { this.#parts.text.focus(); }

  /** Do what a key stands for within a question; returns whether it stands for anything. */
  press(key, isShifted, digit) {
    if (digit !== null) {
      const intent = this.#intents[(digit + 9) % 10 + (isShifted ? 10 : 0)];
      if (intent) this.#act(toggleIntent, intent.name);
      return true;
    }
    const acts = { n: () => this.#act(toggleOutOfScope), t: () => this.#parts.type.focus(), escape: () => this.focus(),
      a: () => this.#act(chooseIntents, this.#question.intents, this.#names()), enter: () => this.#onSave() };
    acts[key]?.();
    return key in acts;
  }

  /** Return the label as the API takes it, null where the choice cannot be saved, which is then said. */
  readLabel() {
    try {
      this.complain(null);
      return labelOf(this.#choice, this.#time);
    } catch (error) {
      if (!(error instanceof ChoiceError)) throw error;
      this.complain(error);
      return null;
    }
  }

  /** Say what is wrong with the choice, and go to where; null says that nothing is. */
  complain(error) {
    const { type, years, wrong, text } = this.#parts;
    wrong.textContent = error?.message ?? "";
    for (const [field, input] of [["type", type], ["years", years]]) {
      if (error?.field === field) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    if (error) ({ type, years }[error.field] ?? text).focus();
  }

  /** Take no saving while something is under way. */
  setBusy(isBusy) {
    this.#parts.form.setAttribute("aria-busy", String(isBusy));
    this.#parts.save.disabled = isBusy;
  }

  #names() { return this.#intents.map((intent) => intent.name); }

  #act(change, ...values) { this.#set(change(this.#choice, ...values)); this.#onChange(this.#choice); }

  #set(choice) {
    this.#choice = choice;
    for (const [name, button] of this.#buttons) {
      button.setAttribute("aria-pressed", String(choice.intents.includes(name)));
    }
    this.#parts.outOfScope.setAttribute("aria-pressed", String(choice.isOutOfScope));
    for (const field of ["type", "years"]) {
      if (this.#parts[field].value !== choice[field]) this.#parts[field].value = choice[field];
    }
  }

  #makeToggle(intent, index) {
    const key = index < 10 ? `${(index + 1) % 10}` : index < 20 ? `⇧${(index + 1) % 10}` : "";
    const button = makeButton("", (event) => this.#click(event, () => this.#act(toggleIntent, intent.name)),
      { className: "toggle", title: intent.description, "aria-pressed": "false" });
    button.append(makeText("span", intent.display_name || intent.name), make("small", {}, intent.name));
    if (key) button.append(make("kbd", { "aria-hidden": "true" }, key));
    return button;
  }

  /** After a click with a mouse the Enter key should save, and not press the same button again. */
  #click(event, act) {
    act();
    if (event.detail > 0) this.#parts.text.focus({ preventScroll: true });
  }

  #describePrediction(question) {
    const names = Object.fromEntries(this.#intents.map((intent) => [intent.name, intent.display_name]));
    const scores = Object.entries(question.scores ?? {}).sort((one, other) => other[1] - one[1]).slice(0, SHOWN_SCORES);
    const rows = scores.map(([name, score]) => make("li", question.intents.includes(name) ? { className: "holds" } : {},
      makeText("span", names[name] || name), " ", make("meter", { value: score, "aria-hidden": "true" }),
      ` ${formatNumber(score)}${question.intents.includes(name) ? " ✓" : ""}`));
    const said = question.intents.map((name) => names[name] || name).join(", ") || "out of scope";
    return [make("p", {}, "Predicted: ", makeText("strong", said), `; time: ${describeTime(question.time_intent)}`),
      make("ul", { className: "scores" }, ...rows),
      make("p", { className: "note" }, `${[question.method, question.model_version].filter(Boolean).join(", ")
      }; asked ${formatMoment(question.asked_at)}`)];
  }

  #build(saveText, actions) {
    const id = (name) => `editor-${this.#number}-${name}`;
    const outOfScope = makeButton("", (event) => this.#click(event, () => this.#act(toggleOutOfScope)),
      { className: "toggle", "aria-pressed": "false" });
    outOfScope.append(make("span", {}, "Out of scope"), make("small", {}, "none of these"),
      make("kbd", { "aria-hidden": "true" }, "N"));
    const input = (field, properties) => {
      const made = make("input", { id: id(field), autocomplete: "off", spellcheck: false,
        "aria-describedby": `${id("wrong")} ${id("note")}`, ...properties });
      made.addEventListener("input", () => this.#act((choice) => ({ ...choice, [field]: made.value })));
      return made;
    };
    const parts = { outOfScope, text: make("p", { className: "question", tabIndex: -1 }),
      why: make("p", { className: "note" }), predicted: make("div", { className: "predicted" }),
      intents: make("div", { className: "toggles", role: "group", "aria-label": "Intents" }),
      type: input("type", { maxLength: 64 }), years: input("years", { inputMode: "text" }),
      wrong: make("p", { className: "problem", id: id("wrong"), role: "alert" }),
      save: make("button", { className: "primary" }, saveText) };
    parts.type.setAttribute("list", id("types"));
    const time = make("fieldset", {}, make("legend", {}, "Time that it is about"), make("div", { className: "row" },
      make("span", {}, make("label", { htmlFor: id("type") }, "Type"), parts.type),
      make("span", {}, make("label", { htmlFor: id("years") }, "Years"), parts.years)),
    make("p", { className: "note", id: id("note") },
      "Like this_year and 2026, or 2026-2028. Empty is none. Months and days stay while type and years do."),
    make("datalist", { id: id("types") }, ...TIME_TYPES.map((value) => make("option", { value }))));
    const buttons = make("div", { className: "row actions" }, parts.save, ...actions);
    const form = make("form", { className: "editor", noValidate: true, "aria-label": "Question" },
      parts.text, parts.why, parts.predicted, parts.intents, time, parts.wrong, buttons);
    return { ...parts, form };
  }
}
