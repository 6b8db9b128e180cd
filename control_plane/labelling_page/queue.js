// The questions that one person has, kept a few ahead and theirs as long as they work. Knows nothing of the page.

const PAGE = 20;
const LOW = 5; // With fewer at hand the next are fetched behind the one that is shown.
const RENEW_MS = 300_000; // Leases that run out sooner are renewed while somebody works.

/** The questions to label, the one that is shown first. */
export class LabelQueue {
  #api; #labeler; #questions = []; #done = new Set(); #fetching = null; #wantsMore = true;

  constructor(api, labeler) {
    this.#api = api;
    this.#labeler = labeler;
  }

  /** The question to show, undefined where none is at hand. */
  get current() { return this.#questions[0]; }

  /** How many are at hand. */
  get length() { return this.#questions.length; }

  /** Whether the current question may be somebody else's by now. */
  get isExpired() { return this.current !== undefined && this.current.leaseEndsAt <= Date.now(); }

  /** Take questions: the person's own first, whose leases begin anew, then others. One request at a time. */
  fill() {
    this.#fetching ??= this.#fetch().finally(() => { this.#fetching = null; });
    return this.#fetching;
  }

  /** Have questions at hand before they are needed, and keep those that there are. Rejects as the API does. */
  async keepUp() {
    const isLow = this.length < LOW && this.#wantsMore;
    const endsSoon = this.current !== undefined && this.current.leaseEndsAt - Date.now() < RENEW_MS;
    if (isLow || endsSoon) await this.fill();
  }

  /** Go on: the current question is done, or belongs to somebody else. Those whose lease ran out go as well. */
  next() {
    this.#done.add(this.current.id);
    this.#questions = this.#questions.slice(1).filter((question) => question.leaseEndsAt > Date.now());
  }

  /** Show a question again that was done. */
  putBack(question) {
    this.#done.delete(question.id);
    this.#questions = [question, ...this.#questions.filter((other) => other.id !== question.id)];
  }

  async #fetch() {
    const taken = await this.#api.takeQuestions(this.#labeler, PAGE);
    this.#wantsMore = taken.length === PAGE;
    const fresh = taken.filter((question) => !this.#done.has(question.id))
      .map(({ leaseMs, ...question }) => ({ ...question, leaseEndsAt: Date.now() + leaseMs }));
    const shown = this.current; // It stays in front, whoever has it now: somebody is reading it.
    const same = shown && fresh.find((question) => question.id === shown.id);
    const others = fresh.filter((question) => question.id !== shown?.id);
    this.#questions = shown ? [same ?? shown, ...others] : others;
  }
}
