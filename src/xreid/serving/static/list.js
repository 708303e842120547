// A list of any length: only the rows in view are in the page, and pages of the list are fetched as they are reached.

import { get, listed } from "./api.js";
import { camera, count, fill, h, short, span, tag, trouble, utc } from "./dom.js";
import { picture } from "./moving.js";
import { settle } from "./renew.js";

const ROW = 78, PAGE = 500, SPARE = 6;

export class TrackletList {
  /** @param choose called with a tracklet and whether it is added to those chosen before */
  constructor(choose) {
    this.choose = choose;
    this.said = h("p.soft.small", { "aria-live": "polite" });
    this.rows = h("div.rows", { role: "listbox", "aria-label": "Tracklets in order of time", tabindex: "0" });
    this.window = h("div.window", {}, this.rows);
    this.element = h("div.tracklets", {}, this.said, this.window);
    this.window.addEventListener("scroll", () => this.show(), { passive: true });
    this.rows.addEventListener("keydown", (event) => this.key(event));
    this.chosen = new Set();
    this.items = [];
    this.total = 0;
    this.next = null;
    this.at = 0;
    new ResizeObserver(() => this.show()).observe(this.window);
  }

  /** Begin anew with other filters. */
  async load(filters) {
    this.filters = filters;
    this.items = [];
    this.next = null;
    this.at = 0;
    this.window.scrollTop = 0;
    this.turn = Symbol("turn");
    this.said.textContent = "Loading …";
    await this.more(this.turn);
  }

  async more(turn = this.turn) {
    if (this.loading === turn) return;
    this.loading = turn;
    try {
      const page = await get(listed(this.filters, { cursor: this.next, limit: PAGE }));
      if (turn !== this.turn) return;
      this.items.push(...page.items);
      Object.assign(this, { total: page.total, next: page.next });
      this.loading = null;
      this.said.textContent = page.total ? count(page.total, "tracklet") : "";
      this.show();
    } catch (error) {
      if (turn === this.turn) fill(this.rows, trouble(error, () => this.load(this.filters)));
    } finally {
      if (this.loading === turn) this.loading = null;
    }
  }

  show() {
    if (!this.items.length) {
      this.rows.style.height = "";
      fill(this.rows, this.loading ? "" : h("p.soft.empty", {}, "No tracklet passes these filters."));
      return;
    }
    const first = Math.max(0, Math.floor(this.window.scrollTop / ROW) - SPARE);
    const last = Math.min(this.total, Math.ceil((this.window.scrollTop + this.window.clientHeight) / ROW) + SPARE);
    this.rows.style.height = `${this.total * ROW}px`;
    const kept = new Map([...this.rows.children].map((row) => [row.dataset.key, row]));
    const wanted = [];
    for (let i = first; i < last; i++) wanted.push(this.row(i, kept));
    settle(this.rows, wanted);
    if (last > this.items.length && this.next) this.more();
  }

  row(i, kept) {
    const item = this.items[i], key = item ? `${i}:${item.id}` : `${i}:`;
    const row = kept.get(key) ?? (item ? this.line(i, item, key) : h("div.line", { "data-key": key, style: { top: `${i * ROW}px` } }, h("span.soft", {}, "…")));
    if (item) {
      row.setAttribute("aria-selected", this.chosen.has(item.id));
      row.classList.toggle("at", i === this.at && document.activeElement === this.rows);
    }
    return row;
  }

  line(i, item, key) {
    const act = (event) => { this.at = i; this.choose(item, event.shiftKey || event.ctrlKey || event.metaKey); };
    return h("div.line", { "data-key": key, id: `line-${item.id}`, role: "option", title: utc(item), style: { top: `${i * ROW}px` }, onclick: act, "aria-setsize": this.total, "aria-posinset": i + 1 },
      picture(item, 96),
      h("div", {}, h("b", { title: item.name }, short(item.name, 20)), h("div.small", {}, tag(item.modality), ` ${camera(item)}`), h("div.soft.small", {}, span(item))));
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6, Home: -this.at, End: this.items.length - 1 - this.at }[event.key];
    if (step !== undefined) {
      this.at = Math.max(0, Math.min(this.items.length - 1, this.at + step));
      const top = this.at * ROW, low = top + ROW - this.window.clientHeight;
      if (this.window.scrollTop > top) this.window.scrollTop = top;
      else if (this.window.scrollTop < low) this.window.scrollTop = low;
      this.show();
      if (this.items[this.at]) this.rows.setAttribute("aria-activedescendant", `line-${this.items[this.at].id}`);
    } else if (event.key === "Enter" && this.items[this.at]) this.choose(this.items[this.at], event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  mark(ids) {
    this.chosen = new Set(ids);
    this.show();
  }
}
