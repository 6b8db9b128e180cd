// What this tab remembers, also when it is loaded again: until it is closed, or until its user signs out.

const PREFIX = "conch-label-";
const MAX_DONE = 50;

/** Return what is remembered under a name, `otherwise` where nothing is. */
export function recall(name, otherwise = null) {
  const text = sessionStorage.getItem(PREFIX + name);
  return text === null ? otherwise : JSON.parse(text);
}

/** Remember a value; null forgets it. */
export function remember(name, value) {
  if (value === null) sessionStorage.removeItem(PREFIX + name);
  else sessionStorage.setItem(PREFIX + name, JSON.stringify(value));
}

/** Forget everything. */
export function forgetAll() {
  Object.keys(sessionStorage).filter((name) => name.startsWith(PREFIX))
    .forEach((name) => sessionStorage.removeItem(name));
}

/** What was done in this session, the last one last: `{question, choice, isSkip}`. */
export class Progress {
  #kept = recall("progress", { labelled: 0, skipped: 0, done: [] });

  /** How many were labelled and skipped, and what can still be undone. */
  get labelled() { return this.#kept.labelled; }
  get skipped() { return this.#kept.skipped; }
  get last() { return this.#kept.done.at(-1); }

  /** Note a label or a skip. */
  add(question, choice, isSkip) {
    this.#kept[isSkip ? "skipped" : "labelled"] += 1;
    this.#kept.done = [...this.#kept.done, { question, choice, isSkip }].slice(-MAX_DONE);
    remember("progress", this.#kept);
  }

  /** Take the last one away; `isUndone` says that it does not count any more. */
  drop(isUndone) {
    const { isSkip } = this.#kept.done.pop();
    if (isUndone) this.#kept[isSkip ? "skipped" : "labelled"] -= 1;
    remember("progress", this.#kept);
  }
}
