// What somebody has chosen for one question, as plain values. Pure: knows neither the page nor the API.

const MAX_YEARS = 200;
const TYPE = /^[a-z][a-z0-9_]{0,63}$/;
const TIME_FIELDS = ["type", "target_years", "target_months", "start", "end"];

/** A choice that cannot be saved; `field` is `intents`, `type` or `years`. */
export class ChoiceError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** Return the choice to begin with: intents (null where none are chosen yet) and a time intent or null. */
export function beginChoice(intents, time) {
  return { intents: intents ?? [], isOutOfScope: intents !== null && intents.length === 0,
    type: time?.type ?? "", years: formatYears(time?.target_years ?? []) };
}

/** Return the choice with an intent chosen, or no longer chosen. */
export function toggleIntent(choice, name) {
  const isChosen = choice.intents.includes(name);
  return { ...choice, isOutOfScope: false,
    intents: isChosen ? choice.intents.filter((other) => other !== name) : [...choice.intents, name] };
}

/** Return the choice of no intent at all, or take it back. */
export function toggleOutOfScope(choice) {
  return { ...choice, intents: [], isOutOfScope: !choice.isOutOfScope };
}

/** Return the choice with the predicted intents, as far as they are still `active`. */
export function chooseIntents(choice, predicted, active) {
  const intents = predicted.filter((name) => active.includes(name));
  return { ...choice, intents, isOutOfScope: predicted.length === 0 };
}

/** Return the choice without intents that are no longer `active`. */
export function keepActive(choice, active) {
  return { ...choice, intents: choice.intents.filter((name) => active.includes(name)) };
}

/** Return what a label says, as the API takes it. `time` is the time intent that the choice began with; where type and
 *  years are still its own, its months and days hold too. Throws ChoiceError. */
export function labelOf(choice, time) {
  if (choice.intents.length === 0 && !choice.isOutOfScope) {
    throw new ChoiceError("intents", "Choose an intent or out of scope, or skip the question.");
  }
  return { correct_intent: choice.intents, correct_time_intent: timeIntentOf(choice, time) };
}

/** Return the time intent of a choice, null for none. Throws ChoiceError. */
export function timeIntentOf(choice, time) {
  const type = choice.type.trim();
  const years = parseYears(choice.years);
  if (type === "" && years.length === 0) return null;
  if (type === "") throw new ChoiceError("type", "Give these years a type, for example explicit_year, or clear them.");
  if (!TYPE.test(type)) {
    throw new ChoiceError("type", "A type is small letters, digits and _, for example this_year.");
  }
  if (time && type === time.type && formatYears(years) === formatYears(time.target_years ?? [])) {
    return Object.fromEntries(TIME_FIELDS.filter((name) => time[name] != null).map((name) => [name, time[name]]));
  }
  return { type, target_years: years };
}

/** Read years like `2026, 2028-2030`; Chinese commas and 年 are read too. Returns them in order, each once. */
export function parseYears(text) {
  const years = new Set();
  const written = text.normalize("NFKC").replaceAll("年", " ").replace(/\s*[-–—~到至]\s*/gu, "-");
  for (const part of written.split(/[\s,、;]+/u).filter(Boolean)) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    if (match === null) throw new ChoiceError("years", `“${part}” is no year: write 2026, or 2026-2028.`);
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first < 1 || last < first || last - first >= MAX_YEARS) {
      throw new ChoiceError("years", `“${part}” is no range of years: the first comes first, ${MAX_YEARS} at most.`);
    }
    for (let year = first; year <= last; year += 1) years.add(year);
  }
  if (years.size > MAX_YEARS) throw new ChoiceError("years", `These are more than ${MAX_YEARS} years.`);
  return [...years].sort((one, other) => one - other);
}

function formatYears(years) {
  return years.join(", ");
}
