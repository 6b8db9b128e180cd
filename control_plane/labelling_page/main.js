// Begins the page: signing in, the views, keys, and what is said to everybody.

import { Api, ApiError, explain } from "./api.js";
import { byId } from "./dom.js";
import { DisputesView } from "./disputes_view.js";
import { LabelView } from "./label_view.js";
import { forgetAll, recall, remember } from "./memory.js";
import { QualityView } from "./quality_view.js";
import { TrainingView } from "./training_view.js";

const VIEWS = ["label", "quality", "disputes", "training"];
const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

/** What the views share: one key, its scopes, the taxonomy, and one place for messages. */
class Shell {
  #api; #scopes = []; #intents = []; #views = {}; #shown = null;

  /** Sign in with what this tab remembers, else ask. */
  async begin() {
    const key = recall("key");
    const labeler = recall("labeler");
    if (!key || !(await this.attempt(() => this.signIn(key, labeler)))) this.askToSignIn();
  }

  /** Check a key and show the views; a key is remembered only when it opens them. */
  async signIn(key, labeler) {
    if (!/^[\x21-\x7e]+$/.test(key)) {
      throw new ApiError(401, "authentication", "An API key has no spaces and no letters like these.");
    }
    const api = new Api(key);
    const own = await api.ownKey();
    if (!own.scopes.includes("label")) {
      throw new ApiError(403, "insufficient-scope", `The key of ${own.name} has not the scope “label”.`);
    }
    const { intents } = await api.taxonomy();
    if (recall("labeler") !== labeler) forgetAll();
    remember("key", key);
    remember("labeler", labeler);
    [this.#api, this.#scopes, this.#intents] = [api, own.scopes, intents];
    this.#views = { label: new LabelView(api, labeler, this), quality: new QualityView(api, labeler, this),
      disputes: new DisputesView(api, labeler, this), training: new TrainingView(api, this) };
    byId("who-name").textContent = labeler;
    this.#showSignedIn(true);
    await this.route();
  }

  /** Show the form to sign in. What was chosen stays remembered. */
  askToSignIn() {
    remember("key", null);
    this.#closeView();
    this.#views = {};
    this.#showSignedIn(false);
    byId("labeler").value ||= recall("labeler") ?? "";
    byId("key").focus();
  }

  /** Forget the key and everything else. */
  signOut() {
    forgetAll();
    this.askToSignIn();
    byId("labeler").value = "";
    this.say("Signed out. Questions that you had go back to the queue within ten minutes.");
  }

  /** Show the view that the address names. */
  async route() {
    const name = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : VIEWS[0];
    if (!(name in this.#views)) return;
    if (name !== this.#shown) {
      this.#closeView();
      this.say("");
    }
    this.#shown = name;
    for (const link of document.querySelectorAll("#views a")) {
      if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    VIEWS.forEach((other) => { byId(other).hidden = other !== name; });
    await this.#views[name].open();
  }

  /** The view that is shown, if any. */
  get view() { return this.#views[this.#shown]; }

  /** The active intents, in order. */
  activeIntents() { return this.#intents.filter((intent) => intent.state === "active"); }

  /** What people read for an intent. */
  displayName(name) { return this.#intents.find((intent) => intent.name === name)?.display_name || name; }

  /** Whether the key opens a scope. */
  may(scope) { return this.#scopes.includes(scope); }

  /** Do something that may fail; says what went wrong and returns whether nothing did. */
  async attempt(act) {
    try {
      this.#complain("");
      await act();
      return true;
    } catch (error) {
      await this.report(error);
      return false;
    }
  }

  /** Say what went wrong, and do about it what can be done here. */
  async report(error) {
    if (!(error instanceof ApiError)) console.error(error);
    this.say("");
    this.#complain(explain(error));
    if (error.status === 401) this.askToSignIn();
    if (error.type === "unknown-intents") {
      const { intents } = await this.#api.taxonomy().catch(() => ({ intents: this.#intents }));
      this.#intents = intents;
      Object.values(this.#views).forEach((view) => view.setIntents(this.activeIntents()));
    }
  }

  /** Say something, also to screen readers, without taking the focus. */
  say(text) { byId("status").textContent = text; }

  /** Ask for a reason; resolves to it, null where somebody thought better of it. */
  askReason({ title, text, go, isNeeded }) {
    const dialog = byId("ask");
    byId("ask-title").textContent = title;
    byId("ask-text").textContent = text;
    byId("ask-go").textContent = go;
    byId("reason").value = "";
    byId("reason").required = isNeeded;
    dialog.returnValue = "";
    dialog.showModal();
    byId("reason").focus();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "go" ? byId("reason").value.trim() : null),
        { once: true });
    });
  }

  #complain(text) { byId("problem").textContent = text; }

  #closeView() {
    this.view?.close();
    this.#shown = null;
  }

  #showSignedIn(isIn) {
    byId("sign-in").hidden = isIn;
    byId("views").hidden = !isIn;
    byId("who").hidden = !isIn;
    VIEWS.forEach((name) => { byId(name).hidden = true; });
  }
}

/** Give a key to the view that is shown, unless it belongs to what somebody types in or presses. */
function takeKey(shell, event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || byId("ask").open) return;
  const key = nameOf(event);
  if (target.matches(TYPING) && key !== "escape") return;
  if (key === "enter" && target.closest("button, a, summary, input")) return;
  if (!shell.view?.press || (!byId("shortcuts").checked && key !== "escape")) return;
  if (key === "?") byId("help").open = !byId("help").open;
  const digit = /^Digit\d$/.test(event.code) || /^Numpad\d$/.test(event.code) ? Number(event.code.at(-1)) : null;
  if (key === "?" || (!event.repeat && shell.view.press(key, event.shiftKey, digit))) event.preventDefault();
}

/** Return the key in small letters. An input method of Chinese hides it; then its place on the keyboard says it. */
function nameOf(event) {
  return event.key === "Process" ? event.code.replace("Key", "").toLowerCase() : event.key.toLowerCase();
}

function begin() {
  const shell = new Shell();
  byId("sign-in-form").onsubmit = (event) => {
    event.preventDefault();
    const key = byId("key").value.trim();
    shell.attempt(() => shell.signIn(key, byId("labeler").value.trim())).then((isIn) => {
      if (isIn) byId("key").value = "";
    });
  };
  byId("ask-form").onsubmit = (event) => {
    event.preventDefault();
    if (byId("reason").required && !byId("reason").value.trim()) byId("reason").focus();
    else byId("ask").close("go");
  };
  byId("ask-not").onclick = () => byId("ask").close();
  byId("sign-out").onclick = () => shell.signOut();
  byId("shortcuts").checked = recall("shortcuts", true);
  byId("shortcuts").onchange = () => remember("shortcuts", byId("shortcuts").checked);
  window.addEventListener("hashchange", () => shell.route());
  document.addEventListener("keydown", (event) => takeKey(shell, event));
  document.addEventListener("pointerdown", () => shell.view?.noteActivity?.());
  shell.begin();
}

begin();
