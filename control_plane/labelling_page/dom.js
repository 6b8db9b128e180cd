// Small helpers for elements, and how values are written for people. Knows nothing of questions.

const HAN = /\p{Script=Han}/u;

/** Return the element of an id; one that is missing is a mistake of this page. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found;
}

/** Make an element with properties, attributes (names with a dash, `role`, `lang`) and children: nodes or texts. */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "lang") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Make a button that does `act` when it is pressed. */
export function makeButton(text, act, properties = {}) {
  const button = make("button", { type: "button", ...properties }, text);
  button.addEventListener("click", act);
  return button;
}

/** Return the language of a text, for `lang`: fonts and screen readers go by it. */
export function languageOf(text) {
  return HAN.test(text) ? "zh-Hans" : "en";
}

/** Make an element that holds a text somebody wrote, in its language. */
export function makeText(tag, text, properties = {}) {
  return make(tag, { lang: languageOf(text), ...properties }, text);
}

/** Return a number with `digits` behind the point, a dash for none. */
export function formatNumber(value, digits = 2) {
  return typeof value === "number" ? value.toFixed(digits) : "–";
}

/** Return a moment of the API in the reader's own time and language. */
export function formatMoment(iso) {
  return iso ? new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "–";
}

/** Return a time intent in words, for example `this_year: 2026`. */
export function describeTime(time) {
  if (!time) return "none";
  const parts = [(time.target_years ?? []).join(", ")];
  if (time.target_months?.length) parts.push(`months ${time.target_months.join(", ")}`);
  if (time.start) parts.push(`${time.start} to ${time.end ?? time.start}`);
  const details = parts.filter(Boolean).join("; ");
  return details ? `${time.type}: ${details}` : time.type;
}
