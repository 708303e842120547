// What a search found: cards with moving clips, judged with a key or a click.

import { camera, dialog, h, span, tag, utc } from "./dom.js";
import { clip, release } from "./moving.js";

export const percent = (p) => (p < 0.001 ? "< 0.1%" : p > 0.999 ? "> 99.9%" : `${(100 * p).toFixed(p < 0.1 || p > 0.9 ? 1 : 0)}%`);

/** How likely, in words: a probability only where the model was calibrated. */
export function chance(hit) {
  const p = hit.combined ?? hit.probability;
  if (p === null) return h("span.soft.small", { title: "This model was not calibrated; the score is a cosine" }, "not calibrated");
  const shown = percent(p);
  return h("span", { title: hit.combined !== null && hit.combined !== hit.probability ? `Probability that it is the same person: ${percent(hit.probability)} by looks alone, ${percent(p)} with time and place` : "Probability that it is the same person, at the stated prior" }, h("b", {}, shown), h("span.chance", { "aria-hidden": "true" }, h("i", { style: { width: `${Math.max(2, 100 * p)}%` } })));
}

export class Results {
  /** @param acts judge(hit, verdict), more(hit): search from it; may: whether the person may judge */
  constructor(acts, may) {
    Object.assign(this, { acts, may });
    this.list = h("ol.hits", { "aria-label": "Results, best first" });
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("focusin", (event) => { const card = event.target.closest("li"); if (card) this.at = [...this.list.children].indexOf(card); });
    this.hits = [];
    this.at = 0;
  }

  show(hits) {
    release(this.list);
    this.hits = hits;
    this.at = 0;
    this.list.append(...hits.map((hit, i) => this.card(hit, i)));
  }

  card(hit, i) {
    const row = hit.tracklet;
    const button = (verdict, sign, word, key) => h("button.judge", { type: "button", "aria-pressed": hit.verdict === verdict, "aria-keyshortcuts": key, title: `${word} (${key})`, onclick: () => this.acts.judge(hit, hit.verdict === verdict ? null : verdict) }, `${sign} ${word}`);
    const unknown = hit.accepted === false && h("span.badge", { title: "Below the threshold that strangers seldom pass" }, "unknown");
    return h(`li.card.hit${hit.verdict ? `.${hit.verdict}` : ""}`, { tabindex: i ? "-1" : "0", "data-id": row.id, "aria-label": `Rank ${hit.rank}, ${row.name}, ${camera(row)}, ${span(row)}${hit.verdict ? `, ${hit.verdict}` : ""}` },
      h("div.shot", {}, clip(row), h("span.place", {}, hit.rank), hit.verdict && h(`span.seal.${hit.verdict}`, {}, hit.verdict === "confirmed" ? "✓ confirmed" : "✗ rejected")),
      h("div.words", {},
        h("div.line1", {}, tag(row.modality), unknown),
        h("div", {}, h("b", {}, camera(row)), row.place && h("span.soft", {}, `, ${row.place}`)),
        h("div.soft.small", { title: utc(row) }, span(row)),
        hit.transition && hit.transition.judgement !== "not judged" && hit.transition.judgement !== "possible" && h(`div.small.${hit.transition.judgement}`, {}, hit.transition.judgement === "impossible" ? "✗ not possible: " : "fast: ", hit.transition.why),
        h("div.odds", {}, chance(hit), h("span.soft.small", { title: "Cosine between the embeddings; no probability" }, `score ${hit.score.toFixed(3)}`)),
        h("div.acts", {}, this.may && [button("confirmed", "✓", "Confirm", "c"), button("rejected", "✗", "Reject", "x")], h("button.plain", { type: "button", title: "Frames and facts (Enter)", onclick: () => this.open(hit) }, "Look"))));
  }

  /** Show a changed verdict without moving anything. */
  changed(hit) {
    const i = this.hits.indexOf(hit), old = this.list.children[i];
    if (!old) return;
    const focused = old.contains(document.activeElement), card = this.card(hit, i);
    old.querySelector("video")?.pause();
    old.replaceWith(card);
    if (focused) this.go(i);
  }

  go(i) {
    const to = Math.max(0, Math.min(this.hits.length - 1, i));
    [...this.list.children].forEach((card, j) => { card.tabIndex = j === to ? 0 : -1; });
    this.at = to;
    this.list.children[to]?.focus();
    this.list.children[to]?.scrollIntoView({ block: "nearest" });
  }

  columns() {
    const cards = [...this.list.children];
    const wrap = cards.findIndex((card) => card.offsetTop > cards[0].offsetTop);
    return wrap < 1 ? Math.max(1, cards.length) : wrap;
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.hits.length) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns(), ArrowUp: -this.columns() }[event.key];
    const hit = this.hits[this.at], own = event.target.tagName === "LI";
    if (step !== undefined) this.go(this.at + step);
    else if (event.key === "Enter" && own) this.open(hit);
    else if (event.key === "c" && this.may) this.acts.judge(hit, hit.verdict === "confirmed" ? null : "confirmed");
    else if (event.key === "x" && this.may) this.acts.judge(hit, hit.verdict === "rejected" ? null : "rejected");
    else if (event.key === "s" && this.may) this.acts.more(hit);
    else return;
    event.preventDefault();
  }

  /** Everything about one tracklet. */
  open(hit) {
    look(hit.tracklet, hit, this.may && (() => this.acts.more(hit)));
  }
}

export function look(row, hit = null, more = null) {
  const facts = { camera: row.camera ?? "unknown", place: row.place, time: span(row), UTC: utc(row), modality: row.modality === "ir" ? "infrared" : "visible", "sure of it": row.modality_confidence, quality: row.quality, recording: row.source, set: row.set, person: row.identity, labels: row.labels?.join(", "), frames: row.frames, id: row.id, score: hit?.score.toFixed(4), "by looks alone": hit?.probability === null || !hit ? null : percent(hit.probability), "with time and place": hit?.transition && hit.combined !== null ? `${percent(hit.combined)} (${hit.transition.why})` : null };
  const step = Math.max(1, Math.ceil(row.frames / 48)), shown = [];
  for (let i = 0; i < row.frames; i += step) shown.push(i);
  const source = row.uploaded ? "queries" : "tracklets";
  const box = dialog(row.name,
    h("div.look", {}, clip(row, { controls: true }),
      h("dl.facts", {}, Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "").flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value)]))),
    more && h("div.bar", {}, h("button.main", { type: "button", onclick: () => { box.close(); more(); } }, "Search from this one")),
    h("div.frames", { "aria-label": "Frames" }, shown.map((i) => h("img.pic", { src: `/api/v1/${source}/${row.id}/frames/${i}?height=200`, alt: `frame ${i}`, loading: "lazy" }))));
}
