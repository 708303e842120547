// One tracklet, large: beside what was searched for, why it is a result, the moment in the recording, labels, frames.

import { chance, KINDS, kindOf, measuredLine, partsLine, placeAndTime, strangersLine } from "./answer.js";
import { camera, dialog, fill, h, span, tag, utc } from "./dom.js";
import { labelsBox } from "./labels.js";
import { momentBox } from "./moment.js";
import { clip, frame, quiet } from "./moving.js";
import { partOf } from "./api.js";
import { whyBox } from "./why.js";

const unfolded = new Set(); // what somebody opened stays open from result to result

/**
 * Show a tracklet; again with another one, it takes the place of the first.
 * @param hit the result it is, if it is one; of [index, how many]; acts judge(verdict), more(), example(row), step(n), context()
 */
export function look(row, { hit = null, part = null, may = false, about = {}, of = null, acts = null } = {}) {
  if (part) unfolded.add(part);
  const showing = document.querySelector("dialog.look-box");
  const box = showing ?? dialog(row.name, h("div.look-in", {}));
  box.classList.add("look-box");
  box.setAttribute("aria-label", row.name);
  box.querySelector("h2").textContent = of ? `Rank ${hit.rank} of ${of[1]}: ${row.name}` : row.name;
  const inside = box.querySelector(".look-in"), at = document.activeElement?.dataset?.keep;
  quiet(inside);
  fill(inside, ...content(row, { hit, may, about, of, acts, box }));
  box.onkeydown = (event) => key(event, { box, may, acts, row });
  if (!showing) box.addEventListener("close", () => quiet(box), { once: true });
  if (part) inside.querySelector(`[data-part=${part}]`)?.scrollIntoView({ block: "start" });
  else if (showing) box.scrollTop = 0;
  (at && inside.querySelector(`[data-keep="${at}"]:enabled`))?.focus();
  return box;
}

function key(event, { box, may, acts, row }) {
  if (event.target.matches("input, textarea, select, video") || event.altKey || event.ctrlKey || event.metaKey) return;
  const fold = { w: "why", m: "moment" }[event.key];
  if (fold && box.querySelector(`[data-part=${fold}]`)) {
    const part = box.querySelector(`[data-part=${fold}]`);
    part.open = !part.open;
    if (part.open) part.scrollIntoView({ block: "nearest" });
  } else if (acts?.step && (event.key === "ArrowRight" || event.key === "ArrowLeft")) acts.step(event.key === "ArrowRight" ? 1 : -1);
  else if (acts && may && (event.key === "c" || event.key === "x")) box.querySelector(`[aria-keyshortcuts="${event.key}"]`).click();
  else if (acts && may && event.key === "s") { box.close(); acts.more(); }
  else if (acts && may && event.key === "e") { box.close(); acts.example(row); }
  else return;
  event.preventDefault();
}

function content(row, { hit, may, about, of, acts, box }) {
  const context = acts?.context?.() ?? null;
  return [
    of && h("div.bar.walk", {}, h("button", { type: "button", "data-keep": "before", disabled: of[0] === 0, onclick: () => acts.step(-1) }, "← Before"), h("button", { type: "button", "data-keep": "next", disabled: of[0] === of[1] - 1, onclick: () => acts.step(1) }, "Next →")),
    h("div.look-top", {},
      h("div.pair", {}, context && context.query.slice(0, 2).map((one) => side("Searched for", one, false)), side(context ? "This result" : "", row, true)),
      h("div.look-side", {}, hit && verdict(hit, about),
        hit && acts && may && h("div.bar.judges", {}, judge(hit, acts, "confirmed", "✓", "Confirm", "c"), judge(hit, acts, "rejected", "✗", "Reject", "x")),
        acts && may && h("div.bar", {}, acts.example && h("button", { type: "button", title: "Shortcut: e", onclick: () => { box.close(); acts.example(row); } }, "Search with this one too"), h("button", { type: "button", title: "Shortcut: s", onclick: () => { box.close(); acts.more(); } }, "Search from this one alone")),
        !row.uploaded && labelsBox(row, may))),
    hit && context && may && fold("why", "Why it is a result", () => whyBox(context.body(row), row, context)),
    !row.uploaded && fold("moment", "The moment in the recording", () => momentBox(row, may)),
    fold("frames", `All frames (${row.frames})`, () => frames(row)),
    fold("facts", "All facts", () => facts(row, hit), !hit),
  ].filter(Boolean);
}

/** A fold whose content is made when it is open. */
function fold(name, title, make, always = false) {
  const inside = h("div.fold-in", {}), made = () => inside.childElementCount || inside.append(make());
  const element = h("details.fold", { "data-part": name, open: always || unfolded.has(name), ontoggle: () => {
    element.open ? unfolded.add(name) : unfolded.delete(name);
    if (element.open) made();
  } }, h("summary", {}, title), inside);
  if (element.open) made(); // at once: it takes room, so that it can be scrolled to
  return element;
}

function verdict(hit, about) {
  const kind = kindOf(hit);
  return h(`div.verdict.is-${kind}`, { role: "note" }, h("div", {}, (kind !== "open" || about.measured) && h(`span.badge.${kind}`, { title: KINDS[kind].title }, KINDS[kind].word), " ", chance(hit, about.measured)), h("div.soft.small", { title: "Cosine between the embeddings; no probability" }, `score ${hit.score.toFixed(3)}`), strangersLine(hit), partsLine(hit), placeAndTime(hit, { all: true }), measuredLine(about));
}

function side(title, row, controls) {
  return h("figure.side-of", {}, title && h("figcaption", {}, h("b", {}, title)), clip(row, { controls }),
    h("figcaption.small", {}, tag(row.modality), row.uploaded ? h("div", {}, "from your file") : [h("div", {}, h("b", {}, camera(row)), row.place && `, ${row.place}`), h("div.soft", { title: utc(row) }, span(row))]));
}

function judge(hit, acts, verdict, sign, word, key) {
  return h("button.judge.large", { type: "button", "data-keep": verdict, "aria-pressed": hit.verdict === verdict, "aria-keyshortcuts": key, onclick: async (event) => {
    const all = event.currentTarget.parentElement.children;
    await acts.judge(verdict);
    for (const one of all) one.setAttribute("aria-pressed", String(one.dataset.keep === hit.verdict));
  } }, `${sign} ${word}`, h("kbd", {}, key));
}

function frames(row) {
  const step = Math.max(1, Math.ceil(row.frames / 48)), shown = [];
  for (let i = 0; i < row.frames; i += step) shown.push(i);
  return h("div.frames", {}, shown.map((i) => frame(partOf(row, `frames/${i}?height=200`), `frame ${i}`)));
}

function facts(row, hit) {
  const all = { camera: row.camera ?? "unknown", place: row.place, time: span(row), UTC: utc(row), modality: row.modality === "ir" ? "infrared" : "visible", "sure of it": row.modality_confidence, quality: row.quality, recording: row.source, set: row.set, person: row.identity, frames: row.frames, name: row.name, id: row.id, score: hit?.score.toFixed(4), "after re-ranking": hit?.reranked?.toFixed(4) };
  return h("dl.facts", {}, Object.entries(all).filter(([, value]) => value !== null && value !== undefined && value !== "").flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value)]));
}
