// What an answer says as a whole, and what of a hit stands on its card: sure enough, unknown, not possible.

import { count, h, percent } from "./dom.js";

export const KINDS = {
  confirmed: { word: "confirmed", title: "Somebody looked and said that it is the person" },
  likely: { word: "above the threshold", title: "Its score is above the threshold that strangers seldom pass" },
  unknown: { word: "unknown", title: "Below the threshold that strangers seldom pass: this may be anybody" },
  impossible: { word: "not possible", title: "Nobody can have been there then, as the camera graph has it" },
  open: { word: "not judged", title: "This model has no threshold for this kind of pair" },
};

/** Which of the kinds a hit is. */
export function kindOf(hit) {
  if (hit.verdict === "confirmed") return "confirmed";
  if (hit.transition?.judgement === "impossible") return "impossible";
  return hit.accepted === true ? "likely" : hit.accepted === false ? "unknown" : "open";
}

/** The probability of a hit in one line, or why there is none; measured says on whom it was measured, null: nowhere. */
export function chance(hit, measured) {
  const p = hit.combined ?? hit.probability;
  if (p !== null) return h("span.chance-line", { title: `Probability that it is the same person, at the prior named above the results. ${measured}` }, h("b", {}, percent(p)), " the same person", starred(), h("span.chance", { "aria-hidden": "true" }, h("i", { style: { width: `${Math.max(2, 100 * p)}%` } })));
  if (hit.verdict === "confirmed" && measured) return h("span.soft.small", {}, "said by a person, so no probability");
  return measured ? h("span.soft.small", { title: measured }, "no probability for this kind of pair", starred()) : h("span.soft.small", { title: "This model was not calibrated; the score is a cosine" }, "not calibrated");
}

/** What stands beside each probability, and leads to the line that says on whom it was measured. */
export const starred = () => h("sup.star", { title: "On whom it was measured stands above the results", onclick: (event) => {
  event.stopPropagation();
  const line = document.querySelector("dialog[open] .measured") ?? document.querySelector(".measured");
  line?.scrollIntoView({ block: "center" });
  line?.focus({ preventScroll: true });
} }, "*");

/** Beside all probabilities: on whom they were measured, and whether that was checked here. */
export const measuredLine = ({ measured, holds }) => measured && h(`p.measured.small${holds === true ? "" : ".doubt"}`, { tabindex: "-1" }, h("span", { "aria-hidden": "true" }, "* "), measured);

/** How many of those who cannot be the person are as alike, where somebody has looked for them. */
export const strangersLine = (hit) => (hit.strangers === null || hit.strangers === undefined || hit.verdict === "confirmed" ? "" : h("div.soft.small", { title: "Pairs of tracklets of this gallery that cannot be of one person (`xreid gallery strangers`)" }, `${hit.strangers >= 0.5 ? "50% or more" : percent(hit.strangers)} of the strangers here are as alike`));

/** Both parts of the probability, where space and time changed it. */
export function partsLine(hit) {
  if (hit.combined === null || hit.probability === null || !hit.transition || hit.transition.judgement === "not judged" || hit.transition.factor === 1) return "";
  return h("div.soft.small", {}, `${percent(hit.probability)} by looks; space and time make the odds ${fewer(hit.transition.factor)}`);
}

const fewer = (factor) => (factor >= 1 ? "no smaller" : `${(1 / factor).toLocaleString("en", { maximumFractionDigits: factor > 0.1 ? 1 : 0 })} times smaller`);

/** What space and time say, where it matters. */
export function placeAndTime(hit, { all = false } = {}) {
  const told = hit.transition;
  if (!told || told.judgement === "not judged") return all && told ? h("div.soft.small", {}, `not judged by time and place: ${told.why}`) : "";
  if (told.judgement === "possible") return all && h("div.soft.small.possible", { title: told.why }, "✓ possible by time and place");
  return h(`div.small.${told.judgement}`, {}, told.judgement === "impossible" ? "✗ not possible: " : "! fast: ", told.why);
}

/** Over the results: what they are worth together. */
export function summary(answer) {
  if (!answer.hits.length) return "";
  if (answer.unknown) {
    return h("div.warn.unknown-note", { role: "note" }, h("p.big", {}, h("span.sign", { "aria-hidden": "true" }, "?"), h("b", {}, "Unknown. "), "No result is likely enough."),
      h("p", {}, "This person may not be in the gallery at all. What follows is only the most alike that there is: somebody always is. Do not take the first for the person."));
  }
  const kinds = answer.hits.map(kindOf), n = (kind) => kinds.filter((one) => one === kind).length;
  if (answer.prior === null) return "";
  const words = [n("confirmed") && `${n("confirmed")} confirmed`, `${n("likely")} above the threshold`, n("unknown") && `${n("unknown")} below it: unknown`, n("impossible") && `${n("impossible")} not possible`].filter(Boolean);
  return h("p.summary", {}, words.join(" · "));
}

/** Instead of any answer, where nobody can be found yet. */
export const emptyGallery = (takeIn) => h("div.card.empty", {}, h("p", {}, h("b", {}, "This gallery is empty. "), takeIn ? "Take in footage first; then there is somebody to be found. On the command line: " : "Somebody with the role operator can take in footage. On the command line: ", h("code", {}, "xreid gallery add GALLERY EMBEDDINGS")), takeIn && h("button", { type: "button", onclick: takeIn }, "Take in footage"));

/** The prior in words. */
export function priorLine(answer) {
  if (answer.prior === null) return "";
  const text = answer.prior >= 0.01 ? answer.prior.toFixed(2) : `1/${Math.round(1 / answer.prior).toLocaleString("en")}`;
  return h("span.soft.small", { title: `Before any comparison, one of ${count(Math.round(1 / answer.prior), "tracklet")} is taken to show this person; all probabilities build on it` }, `prior ${text}`);
}
