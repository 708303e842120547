// The view "Search": filters and tracklets on one side, the query, its results and the case on the other.

import { post } from "./api.js";
import { caseBar, Current } from "./case.js";
import { camera, count, fill, h, span, tag, tell, trouble } from "./dom.js";
import { Filters } from "./filters.js";
import { TrackletList } from "./list.js";
import { clip, release } from "./moving.js";
import { look, Results } from "./results.js";
import { personsBox } from "./persons.js";
import { timeline } from "./timeline.js";
import { fromFile } from "./upload.js";
import { watchFor } from "./watch.js";

const TOPS = [12, 30, 60, 120, 200];

export class SearchView {
  constructor(world) {
    this.world = world;
    this.may = world.role !== "viewer";
    this.query = [];
    this.answer = null;
    this.filters = null;
    this.current = new Current(() => this.judged());
    this.list = new TrackletList((row, more) => (this.may ? this.choose(row, more) : look(row)));
    this.results = new Results({ judge: (hit, verdict) => this.judge(hit, verdict), more: (hit) => this.choose(hit.tracklet, false) }, this.may);
    this.element = this.build();
    this.filterBox.changed(this.filterBox.value());
  }

  build() {
    const { gallery, cameras } = this.world;
    this.filterBox = new Filters(gallery, cameras, (value) => { this.filters = value; this.list.load(value); if (this.query.length && this.answer) this.search(); });
    this.file = h("input", { type: "file", accept: "image/*,video/*,.avi,.mkv,.ts", hidden: true, onchange: () => { if (this.file.files[0]) this.upload(this.file.files[0]); this.file.value = ""; } });
    this.queryBox = h("div.query-box", {});
    this.caseBox = h("div", {});
    this.answerBox = h("div.answer-box", { "aria-busy": "false" });
    this.head = h("div.bar.result-head", {});
    const side = h("aside", { "aria-label": "Cameras, times and tracklets" },
      h("details.side", { open: matchMedia("(min-width: 861px)").matches }, h("summary", {}, "Cameras, times, tracklets"), h("div.side-in", {}, this.filterBox.element, this.list.element)));
    this.showQuery();
    this.showAnswer();
    return h("div.two-columns", {}, side, h("section.content", { "aria-label": "Search" }, this.queryBox, this.caseBox, this.head, this.answerBox, this.file));
  }

  choose(row, more) {
    const same = (one) => one.id === row.id && !one.uploaded === !row.uploaded;
    if (more) this.query = this.query.some(same) ? this.query.filter((one) => !same(one)) : [...this.query, row].slice(-20);
    else {
      this.query = [row];
      this.current.leave();
    }
    this.showQuery();
    if (this.query.length) this.search();
    else this.showAnswer((this.answer = null));
  }

  upload(file) {
    if (!this.may) return;
    fromFile(file, this.world.gallery, (query) => this.choose({ ...query, uploaded: true, camera: null, start_s: null, end_s: null }, false));
  }

  showQuery() {
    this.list.mark(this.query.map((one) => one.id));
    release(this.queryBox);
    const ask = h("button.drop-zone", { type: "button", onclick: () => this.file.click() }, h("b", {}, "Drop a picture or clip"), h("span.soft.small", {}, "or choose a file (u)"));
    if (!this.may) {
      fill(this.queryBox, h("p.soft", {}, "You may look at what the cameras saw; searching needs the role operator."));
      return;
    }
    const part = (row) => h("div.asked", {}, h("div.asked-shot", {}, clip(row)),
      h("div", {}, h("b", {}, row.name), h("div", {}, tag(row.modality), row.guessed && h("span.soft.small", {}, " by its colours")), !row.uploaded && h("div.small", {}, camera(row)), h("div.soft.small", {}, row.uploaded ? `${count(row.frames, "picture")}, from your file` : span(row)),
        h("div.acts", {}, h("button.plain", { type: "button", onclick: () => look(row) }, "Look"), h("button.plain", { type: "button", "aria-label": `Take ${row.name} out`, onclick: () => this.choose(row, true) }, "Take out"))));
    fill(this.queryBox, h("h2", {}, this.query.length ? "Searched for" : "Whom do you look for?"),
      !this.query.length && h("p.soft", {}, "Pick a tracklet from the list, or drop a picture or a clip anywhere on this page. Shift-click picks several of one person."),
      h("div.asked-row", {}, this.query.map(part), ask),
      this.query.length ? h("div.bar.under", {}, h("button", { type: "button", onclick: () => watchFor(this.body(), this.world.gallery) }, "Watch for this person")) : "");
  }

  body() {
    const ids = (uploaded) => this.query.filter((one) => Boolean(one.uploaded) === uploaded).map((one) => one.id);
    return { tracklets: ids(false), queries: ids(true), filters: this.filters, top: this.asked ?? 30, case: this.current.id };
  }

  async search() {
    if (!this.may || !this.query.length) return;
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    this.answerBox.setAttribute("aria-busy", "true");
    const body = this.body();
    try {
      const answer = await post("/search", body, { signal: stop.signal });
      this.answer = answer;
      this.showAnswer();
      tell(answer.unknown ? "No hit is likely enough: unknown" : count(answer.hits.length, "result"));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.answer = null;
      fill(this.head);
      fill(this.answerBox, trouble(error, () => this.search()));
    } finally {
      if (this.stop === stop) this.answerBox.setAttribute("aria-busy", "false");
    }
  }

  showAnswer() {
    const answer = this.answer;
    this.showCase();
    if (!answer) {
      this.results.show([]);
      fill(this.head);
      fill(this.answerBox, this.world.gallery.tracklets ? "" : h("div.card.empty", {}, h("b", {}, "This gallery is empty. "), "Take in footage under “Footage”, or on the command line: ", h("code", {}, "xreid gallery add GALLERY EMBEDDINGS")));
      return;
    }
    this.top = h("select", { "aria-label": "Most results", onchange: () => { this.asked = Number(this.top.value); this.search(); } }, TOPS.map((n) => h("option", { value: n }, `top ${n}`)));
    this.top.value = String(this.asked ?? 30);
    fill(this.head, h("h2", {}, count(answer.hits.length, "result"), h("small.soft", {}, `, ${answer.searched.toLocaleString("en")} searched`)), this.top, answer.prior !== null && h("span.soft.small", {}, `prior ${answer.prior >= 0.01 ? answer.prior.toFixed(2) : `1/${Math.round(1 / answer.prior).toLocaleString("en")}`}`));
    this.results.show(answer.hits);
    const taught = answer.rejected || answer.examples > this.query.length;
    fill(this.answerBox, 
      taught ? h("p.small", { id: "taught" }, `Searched with ${count(answer.examples, "tracklet")}, what you confirmed included; ${answer.rejected} rejected kept out.`) : "",
      answer.unknown ? h("div.warn", { role: "note" }, h("p", {}, h("b", {}, "Unknown. "), "No result reaches its threshold; this person may not be in the gallery.")) : "",
      h("details.card.when", { open: true }, h("summary", {}, "Where and when"), (this.when = h("div", {}))),
      this.world.gallery.calibrated && answer.hits.length ? personsBox(() => this.body()) : "",
      answer.hits.length ? this.results.list : h("div.card.empty", {}, h("b", {}, "No answer. "), "The filters let nothing through. Loosen them on the left."),
      h("p.soft.small", {}, answer.note));
    this.showTimeline();
  }

  showTimeline() {
    if (!this.when) return;
    const shown = new Set();
    const marks = [];
    const put = (row, kind) => { if (!shown.has(row.id)) { shown.add(row.id); marks.push({ row, kind }); } };
    this.query.filter((one) => !one.uploaded).forEach((row) => put(row, "query"));
    for (const hit of this.answer?.hits ?? []) put(hit.tracklet, hit.verdict ?? "open");
    for (const row of this.current.confirmed) put(row, "confirmed");
    fill(this.when, timeline(marks, (row) => {
      const i = this.answer.hits.findIndex((hit) => hit.tracklet.id === row.id);
      if (i >= 0) this.results.go(i);
      else look(row);
    }));
  }

  showCase() {
    fill(this.caseBox, this.query.length || this.current.id ? caseBar(this.current, this.may, () => this.search()) : "");
  }

  async judge(hit, verdict) {
    const before = hit.verdict;
    hit.verdict = verdict;
    this.results.changed(hit);
    try {
      await this.current.judge(hit.tracklet, verdict, this.query);
      tell(verdict === null ? "Taken back" : `${hit.tracklet.name} ${verdict}`);
    } catch (error) {
      hit.verdict = before;
      this.results.changed(hit);
      tell(`Not stored: ${error.message}`, "bad");
    }
  }

  judged() {
    this.showCase();
    this.showTimeline();
  }

  /** Go on with a stored case. */
  async resume(file) {
    this.query = [...file.searched_for, ...file.uploaded.map((one) => ({ ...one, uploaded: true, camera: null, start_s: null, end_s: null }))];
    this.current.take(file);
    this.showQuery();
    this.showCase();
    await this.search();
  }

  key(event) {
    if (event.key === "u" && this.may) this.file.click();
    else if (event.key === "/") { this.element.querySelector("details.side").open = true; this.list.rows.focus(); }
    else if (event.key === "r" && this.answer?.hits.length) this.results.go(this.results.at);
    else return false;
    return true;
  }
}
