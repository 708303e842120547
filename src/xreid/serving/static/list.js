// A list of any length: only the rows in view are in the page, and pages of the list are fetched as they are reached.

import { get, listed } from "./api.js";
import { camera, count, fill, h, short, span, tag, trouble, utc } from "./dom.js";
import { picture } from "./moving.js";
import { settle } from "./renew.js";

const PAGE = 100, SPARE = 6; // rows of a page, and beyond those in view
const PAGES = 50; // pages that are kept
const TALLEST = 20_000_000; // pixels; browsers draw nothing higher, so a longer list moves faster than its bar
const PAUSE_MS = 60; // whoever drags the bar asks for what is passed by no more than that often

export class TrackletList {
  /** @param choose called with a tracklet and whether it is added to those chosen before */
  constructor(choose) {
    this.choose = choose;
    this.said = h("p.soft.small", { "aria-live": "polite" });
    this.rows = h("div.rows", { role: "group", "aria-label": "Tracklets in order of time", tabindex: "0" }); // a list box once it has options
    this.window = h("div.window", {}, this.rows);
    this.element = h("div.tracklets", {}, this.said, this.window);
    this.window.addEventListener("scroll", () => this.show(), { passive: true });
    this.rows.addEventListener("keydown", (event) => this.key(event));
    Object.assign(this, { chosen: new Set(), pages: new Map(), asking: new Set(), total: 0, at: 0 });
    this.high = 4.875 * parseFloat(getComputedStyle(document.documentElement).fontSize); // pixels of a row, as in app.css
    new ResizeObserver(() => this.show()).observe(this.window);
  }

  /** Begin anew with other filters; or with the same ones, where one is. */
  async load(filters, stay = false) {
    Object.assign(this, { filters, turn: Symbol("turn"), asking: new Set(), failed: false });
    if (!stay) {
      Object.assign(this, { at: 0, total: 0, pages: new Map() });
      this.window.scrollTop = 0;
      this.said.textContent = "Loading …";
    }
    await this.fetch(stay ? this.first() : 0, true);
  }

  /** A page of the list; all others may be others where one says that the list has changed. */
  async fetch(page, anew = false) {
    const { turn } = this;
    if (this.asking.has(page)) return;
    this.asking.add(page);
    try {
      const found = await get(listed(this.filters, { offset: page * PAGE, limit: PAGE }));
      if (turn !== this.turn) return;
      if (anew || found.total !== this.total) this.pages = new Map();
      this.pages.set(page, found.items);
      if (this.pages.size > PAGES) this.pages.delete(this.farthest(page));
      Object.assign(this, { total: found.total, failed: false });
      this.said.textContent = found.total ? count(found.total, "tracklet") : "";
      this.asking.delete(page);
      this.show();
    } catch (error) {
      if (turn !== this.turn) return;
      this.failed = true;
      this.listbox(false);
      fill(this.rows, trouble(error, () => this.load(this.filters, true)));
    } finally {
      if (turn === this.turn) this.asking.delete(page);
    }
  }

  /** Whether there are options to choose from; a list box without any is none. */
  listbox(is) {
    this.rows.setAttribute("role", is ? "listbox" : "group");
  }

  filtered() {
    return Object.values(this.filters).some((one) => (Array.isArray(one) ? one.length : one !== null && one !== false));
  }

  farthest(page) {
    return [...this.pages.keys()].reduce((one, other) => (Math.abs(other - page) > Math.abs(one - page) ? other : one));
  }

  item(i) {
    return this.pages.get(Math.floor(i / PAGE))?.[i % PAGE];
  }

  /** How far down the list its window begins, in pixels of a list that is as high as its rows. */
  down() {
    const seen = this.window.clientHeight, all = this.total * this.high, high = Math.min(all, TALLEST);
    return high <= seen || all === high ? this.window.scrollTop : (this.window.scrollTop * (all - seen)) / (high - seen);
  }

  first() {
    return Math.floor(this.down() / this.high / PAGE);
  }

  show() {
    if (!this.total) {
      if (this.failed) return; // nobody knows whether there are none
      this.rows.style.height = "";
      this.listbox(false);
      fill(this.rows, !this.turn || this.asking.size ? "" : h("p.soft.empty", {}, this.filtered() ? "No tracklet passes these filters." : "No tracklets yet."));
      return;
    }
    this.listbox(true);
    const [first, last] = this.around(), down = this.down();
    this.rows.style.height = `${Math.min(this.total * this.high, TALLEST)}px`;
    const kept = new Map([...this.rows.children].map((row) => [row.dataset.key, row]));
    const wanted = [], shift = this.window.scrollTop - down;
    for (let i = first; i < last; i++) wanted.push(this.row(i, kept, shift));
    settle(this.rows, wanted);
    this.tellActive();
    this.pause ||= setTimeout(() => this.lacking(), PAUSE_MS);
  }

  /** The rows in view, and some above and below. */
  around() {
    const down = this.down();
    return [Math.max(0, Math.floor(down / this.high) - SPARE), Math.min(this.total, Math.ceil((down + this.window.clientHeight) / this.high) + SPARE)];
  }

  lacking() {
    this.pause = 0;
    const [first, last] = this.around();
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) if (!this.pages.has(page)) this.fetch(page);
  }

  row(i, kept, shift) {
    const item = this.item(i), key = item ? `${i}:${item.id}` : `${i}:`;
    const row = kept.get(key) ?? (item ? this.line(i, item, key) : h("div.line", { "data-key": key }, h("span.soft", {}, "…")));
    row.style.top = `${i * this.high + shift}px`;
    if (item) {
      row.setAttribute("aria-selected", this.chosen.has(item.id));
      row.classList.toggle("at", i === this.at && document.activeElement === this.rows);
    }
    return row;
  }

  line(i, item, key) {
    const act = (event) => { this.at = i; this.choose(item, event.shiftKey || event.ctrlKey || event.metaKey); };
    return h("div.line", { "data-key": key, id: `line-${item.id}`, role: "option", title: utc(item), onclick: act, "aria-setsize": this.total, "aria-posinset": i + 1 },
      picture(item, 96),
      h("div", {}, h("b", { title: item.name }, short(item.name, 20)), h("div.small", {}, tag(item.modality), ` ${camera(item)}`), h("div.soft.small", {}, span(item))));
  }

  key(event) {
    const item = this.item(this.at);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 6, PageUp: -6, Home: -this.at, End: this.total - 1 - this.at }[event.key];
    if (step !== undefined) {
      this.at = Math.max(0, Math.min(this.total - 1, this.at + step));
      this.reveal();
      this.show();
    } else if (event.key === "Enter" && item) this.choose(item, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Scroll as far as the row needs that one is at. */
  reveal() {
    const seen = this.window.clientHeight, all = this.total * this.high, high = Math.min(all, TALLEST), top = this.at * this.high;
    const to = Math.min(top, Math.max(this.down(), top + this.high - seen));
    if (to !== this.down()) this.window.scrollTop = all === high ? to : (to * (high - seen)) / (all - seen);
  }

  tellActive() {
    const item = this.item(this.at);
    if (item && document.activeElement === this.rows && document.getElementById(`line-${item.id}`)) this.rows.setAttribute("aria-activedescendant", `line-${item.id}`);
    else this.rows.removeAttribute("aria-activedescendant");
  }

  mark(ids) {
    this.chosen = new Set(ids);
    this.show();
  }
}
