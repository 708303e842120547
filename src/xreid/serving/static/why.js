// Why a result is one: what each part of its score adds, in bars and in words, and the frames that match best.

import { starred } from "./answer.js";
import { partOf, post } from "./api.js";
import { fill, h, percent, tag, trouble } from "./dom.js";
import { frame } from "./moving.js";

const NAMES = { prior: "Before looking", looks: "Looks", modality: "Day and night", "space and time": "Place and time", appearance: "Looks", feedback: "What you confirmed and rejected" };

/** @param body of the search that found it; context {uploads: whether the server has the model} */
export function whyBox(body, row, { uploads }) {
  const parts = h("div", {}, h("p.soft.small", {}, "Adding up …")), pairs = h("div", {}), place = h("div.why", {}, parts, pairs);
  const asked = { ...body, hit: row.id };
  const load = async () => {
    try {
      const why = await post("/why", { ...asked, pairs: 0 });
      fill(parts, ...shares(why));
    } catch (error) {
      fill(parts, trouble(error, load));
      return;
    }
    if (!uploads) {
      fill(pairs, h("p.soft.small", {}, "Which frames match best cannot be said: the server was started without the model (--checkpoint)."));
      return;
    }
    fill(pairs, h("p.soft.small", { role: "status" }, "Comparing frame by frame …"));
    try {
      const why = await post("/why", { ...asked, pairs: 3 });
      fill(pairs, ...matches(why, row));
    } catch (error) {
      fill(pairs, trouble(error, load));
    }
  };
  load();
  return place;
}

function shares(why) {
  const calibrated = why.odds_parts.length > 0;
  const all = calibrated ? why.odds_parts.map((one) => ({ ...one, adds: one.log_odds })) : why.cosine_parts;
  const most = Math.max(...all.map((one) => Math.abs(one.adds)), 1e-9);
  const said = calibrated && why.combined !== null
    ? h("p.sum", {}, "Together: ", h("b", {}, percent(why.combined)), " the same person", starred(), why.combined !== why.probability && why.probability !== null ? h("span.soft", {}, ` (${percent(why.probability)} by looks alone)`) : "")
    : h("p.sum", {}, "Together: ", h("b", {}, `score ${why.score.toFixed(3)}`), h("span.soft", {}, ". A likeness, no probability."));
  return [
    h("table.shares", {}, h("caption.small.soft", {}, calibrated ? "To the right speaks for the same person, to the left against" : "What each part adds to the score"),
      h("tbody", {}, all.map((one) => h("tr", {}, h("th", { scope: "row" }, NAMES[one.name] ?? one.name), h("td", {}, h("div.tug", { role: "img", "aria-label": `${one.adds >= 0 ? "for" : "against"}, ${one.adds.toFixed(2)}` }, h(`i${one.adds < 0 ? ".against" : ""}`, { style: { width: `${(50 * Math.abs(one.adds)) / most}%` } }))), h("td.small", {}, one.text))))),
    said,
    why.examples.length > 1 && h("details", {}, h("summary", {}, `Its likeness to each of ${why.examples.length} examples`), h("ul.list.small", {}, why.examples.map((one) => h("li", {}, `${one.name}: ${one.cosine.toFixed(3)}`, one.role !== "asked" && h("span.soft", {}, ` (${one.role}, weight ${one.weight.toFixed(2)})`))))),
    why.reranked && h("p.small", {}, why.reranked.text),
    why.missing.length ? h("p.soft.small", {}, `Not known: ${why.missing.join("; ")}.`) : null,
  ].filter(Boolean);
}

function matches(why, row) {
  if (!why.frames.length) return [h("p.soft.small", {}, "No frames could be compared.")];
  const asking = (one) => { const from = why.examples[one.example]; return partOf({ id: from.query ?? from.tracklet, uploaded: from.query !== null }, `frames/${one.asking}?height=256`); };
  return [h("h3", {}, "Frames that match best"), h("ul.matches", {}, why.frames.map((one) => h("li", {},
    h("figure", {}, frame(asking(one), `searched for, frame ${one.asking}`), h("figcaption.small", {}, tag(why.examples[one.example].modality))),
    h("figure", {}, frame(partOf(row, `frames/${one.answering}?height=256`), `this result, frame ${one.answering}`), h("figcaption.small", {}, tag(row.modality))),
    h("div.small.soft", {}, `alike ${one.score.toFixed(2)}`)))),
    h("p.soft.small", {}, "It shows what the numbers came from, not what the network looked at.")];
}
