// What a search found: cards with moving clips, judged with a key or a click.

import { chance, KINDS, kindOf, partsLine, placeAndTime, strangersLine } from "./answer.js";
import { camera, h, span, tag, utc } from "./dom.js";
import { look } from "./look.js";
import { clip } from "./moving.js";
import { patch, renew } from "./renew.js";
import { stop } from "./rows.js";

export class Results {
  /** @param acts judge(hit, verdict), more(hit): search from it, example(row): take it along, context(): for its reasons; may: whether the person may judge */
  constructor(acts, may) {
    Object.assign(this, { acts, may });
    this.list = h("ol.hits", { "aria-label": "Results, best first" });
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("focusin", (event) => { const card = event.target.closest("li"); if (card) this.stop([...this.list.children].indexOf(card)); });
    Object.assign(this, { hits: [], about: {}, at: 0, drawn: new Map() });
  }

  /** Cards of results that were there before stay, with the focus that one may have; about {measured, holds}: what the probabilities are worth. */
  show(hits, about = {}) {
    const focused = this.list.contains(document.activeElement) && this.hits[this.at]?.tracklet.id;
    const at = Math.max(0, hits.findIndex((hit) => hit.tracklet.id === focused));
    Object.assign(this, { hits, about, at });
    const before = this.drawn;
    this.drawn = new Map();
    renew(this.list, hits.map((hit, i) => this.draw(hit, i, before)));
  }

  /** The card of a hit: the one that there is, where nothing of it has changed. */
  draw(hit, i, before = new Map()) {
    const { id } = hit.tracklet, says = JSON.stringify([hit, this.about.measured]);
    const old = before.get(id), card = old?.says === says ? old.card : this.card(hit, i);
    const drawn = { says, card: old && old.card !== card ? patch(old.card, card) : card };
    stop(drawn.card, i === this.at);
    this.drawn.set(id, drawn);
    return drawn.card;
  }

  hit(id) {
    return this.hits.find((one) => one.tracklet.id === id);
  }

  card(hit, i) {
    const row = hit.tracklet, kind = kindOf(hit), said = KINDS[kind];
    const judge = (verdict, sign, word, key) => h("button.judge", { type: "button", "aria-pressed": hit.verdict === verdict, "aria-keyshortcuts": key, title: `${word} (${key})`, onclick: () => this.judge(this.hit(row.id), verdict) }, `${sign} ${word}`);
    const sign = kind === "unknown" || kind === "impossible" ? h(`span.badge.${kind}`, { title: said.title }, said.word) : kind === "likely" && h("span.badge.likely", { title: said.title }, said.word);
    return h(`li.card.hit.is-${kind}${hit.verdict ? `.${hit.verdict}` : ""}`, { tabindex: i === this.at ? "0" : "-1", "data-id": row.id, "data-key": row.id, "aria-label": `Rank ${hit.rank}, ${row.name}, ${camera(row)}, ${span(row)}, ${hit.verdict ?? said.word}` },
      h("div.shot", {}, clip(row), h("span.place", {}, hit.rank), hit.verdict && h(`span.seal.${hit.verdict}`, {}, hit.verdict === "confirmed" ? "✓ confirmed" : "✗ rejected")),
      h("div.words", {},
        h("div.line1", {}, tag(row.modality), sign),
        h("div", {}, h("b", {}, camera(row)), row.place && h("span.soft", {}, `, ${row.place}`)),
        h("div.soft.small", { title: utc(row) }, span(row)),
        h("div.odds", {}, chance(hit, this.about.measured)), strangersLine(hit), partsLine(hit), placeAndTime(hit),
        h("div.soft.small", { title: "Cosine between the embeddings; no probability" }, `score ${hit.score.toFixed(3)}`, row.labels.length ? ` · ${row.labels.join(", ")}` : ""),
        h("div.acts", {}, this.may && [judge("confirmed", "✓", "Confirm", "c"), judge("rejected", "✗", "Reject", "x")],
          h("button.plain", { type: "button", title: "Beside what was searched for, with reasons (Enter)", onclick: () => this.open(this.hit(row.id)) }, "Look"),
          this.may && h("button.plain", { type: "button", title: "Search with this one too (e)", "aria-keyshortcuts": "e", onclick: () => this.acts.example(row) }, "+ Example"))));
  }

  judge(hit, verdict) {
    return this.acts.judge(hit, hit.verdict === verdict ? null : verdict);
  }

  /** Show what has changed of a hit, without moving anything. */
  changed(id) {
    const i = this.hits.findIndex((hit) => hit.tracklet.id === id);
    if (i >= 0) this.draw(this.hits[i], i, this.drawn);
  }

  go(i, focus = true) {
    this.stop(Math.max(0, Math.min(this.hits.length - 1, i)));
    const card = this.list.children[this.at];
    if (focus) card?.focus({ preventScroll: true });
    card?.scrollIntoView({ block: "nearest" });
  }

  /** Where Tab enters the list, and goes on to the buttons of that result. */
  stop(i) {
    const cards = this.list.children;
    if (cards[this.at]) stop(cards[this.at], false);
    if (cards[i]) stop(cards[i], true);
    this.at = i;
  }

  columns() {
    const cards = [...this.list.children];
    const wrap = cards.findIndex((card) => card.offsetTop > cards[0].offsetTop);
    return wrap < 1 ? Math.max(1, cards.length) : wrap;
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.hits.length) return;
    const hit = this.hits[this.at], own = event.target.matches("li");
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -this.hits.length, End: this.hits.length };
    const step = steps[event.key] ?? { ArrowDown: 1, ArrowUp: -1 }[event.key] * this.columns();
    if (!Number.isNaN(step)) this.go(this.at + step);
    else if (event.key === "Enter" && own) this.open(hit);
    else if (event.key === "w" || event.key === "m") this.open(hit, event.key === "w" ? "why" : "moment");
    else if (event.key === "c" && this.may) this.judge(hit, "confirmed");
    else if (event.key === "x" && this.may) this.judge(hit, "rejected");
    else if (event.key === "s" && this.may) this.acts.more(hit);
    else if (event.key === "e" && this.may) this.acts.example(hit.tracklet);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Everything about one result, and from there to the next. */
  open(hit, part = null) {
    const i = this.hits.indexOf(hit), before = document.querySelector("dialog.look-box");
    const box = look(hit.tracklet, {
      hit, part, may: this.may, about: this.about, of: [i, this.hits.length],
      acts: { ...this.acts, judge: (verdict) => this.judge(hit, verdict), more: () => this.acts.more(hit), step: (n) => { this.go(i + n, false); this.open(this.hits[this.at]); } },
    });
    if (!before) box.addEventListener("close", () => this.go(this.at), { once: true }); // a judgement has made its card anew
  }
}
