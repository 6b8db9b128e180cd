// Says what people said of a question. Knows neither the API nor who asks.

import { describeTime, formatMoment, makeText } from "./dom.js";

/** Return the intents of a label in words; `displayName` tells what people read for an intent. */
export function describeIntents(names, displayName) {
  if (names === null) return "skipped";
  return names.map(displayName).join(", ") || "out of scope";
}

/** Return what one person said, as nodes: who, what, and when and why in brackets. */
export function describeOpinion(said, displayName) {
  return [makeText("span", `${said.labeler_id}: ${describeIntents(said.intents, displayName)}`),
    ` (${said.origin}, ${formatMoment(said.created_at)}; time: ${describeTime(said.time_intent)}${
      said.undone_at ? "; undone" : ""})`];
}
