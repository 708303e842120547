// The view "Search": filters and tracklets on one side, the query, its results and the case on the other.

import { measuredLine, priorLine, summary } from "./answer.js";
import { ask, get, post } from "./api.js";
import { asked } from "./asked.js";
import { caseBar, Current } from "./case.js";
import { count, fill, h, short, tell, trouble } from "./dom.js";
import { Filters } from "./filters.js";
import { TrackletList } from "./list.js";
import { look } from "./look.js";
import { orderBox } from "./order.js";
import { PersonsBox } from "./persons.js";
import { renew } from "./renew.js";
import { Results } from "./results.js";
import { timeline } from "./timeline.js";
import { fromFile } from "./upload.js";
import { watchFor } from "./watch.js";

const MOST_EXAMPLES = 20, MOST_RESULTS = 2000; // what the server takes
const STEP = 200;
const ofFile = (one) => ({ ...one, uploaded: true, camera: null, start_s: null, end_s: null, labels: [] });

export class SearchView {
  constructor(world) {
    this.world = world;
    this.may = world.role !== "viewer";
    this.query = [];
    this.answer = null;
    this.order = { top: 30, rerank: 0 };
    this.current = new Current((row) => this.judged(row));
    this.list = new TrackletList((row, more) => (this.may ? this.choose(row, more) : look(row)));
    const context = () => ({ query: this.query, body: (row) => this.bodyFor(row), uploads: world.gallery.uploads });
    this.results = new Results({ judge: (hit, verdict) => this.judge(hit, verdict), more: (hit) => this.choose(hit.tracklet, false), example: (row) => this.example(row), context }, this.may);
    this.when = h("div", {});
    this.whenBox = h("details.card.when", { open: true }, h("summary", {}, "Where and when"), this.when);
    this.persons = new PersonsBox();
    this.element = this.build();
    this.filters = this.filterBox.value();
    this.list.load(this.filters);
    document.addEventListener("labelled", (event) => this.labelled(event.detail));
  }

  build() {
    const { gallery, cameras } = this.world;
    this.filterBox = new Filters(gallery, cameras, (value) => { this.filters = value; this.list.load(value); this.world.moved(); this.search(); });
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

  /** Take a tracklet, alone or with those chosen before; the second time it goes out again. */
  choose(row, more) {
    const same = (one) => one.id === row.id && !one.uploaded === !row.uploaded;
    if (more && this.query.length >= MOST_EXAMPLES && !this.query.some(same)) {
      tell(`More than ${MOST_EXAMPLES} examples are not taken`, "bad");
      return;
    }
    if (more) this.query = this.query.some(same) ? this.query.filter((one) => !same(one)) : [...this.query, row];
    else {
      this.query = [row];
      this.current.leave();
      this.answer = null; // what was found of somebody else can be judged no more
    }
    this.asks();
  }

  example(row) {
    if (this.query.some((one) => one.id === row.id)) tell("It is searched with already");
    else this.choose(row, true);
  }

  /** Another question: shown, searched, kept in the case and in the address. */
  asks() {
    this.arriving = null;
    if (!this.query.length) { this.current.leave(); this.answer = null; } // before the address is written
    this.showQuery();
    this.world.moved();
    const { tracklets, queries } = this.body();
    this.current.asks({ tracklets, queries }).catch((error) => tell(`The case was not changed: ${error.message}`, "bad"));
    if (!this.answer) this.showAnswer();
    this.search();
  }

  upload(file) {
    if (!this.may) return;
    const more = this.query.length > 0;
    fromFile(file, this.world.gallery, { more, made: (query, together) => this.choose(ofFile(query), together) });
  }

  showQuery() {
    this.list.mark(this.query.map((one) => one.id));
    asked(this.queryBox, this.query, { may: this.may, acts: { take: (row) => this.choose(row, true), choose: () => this.file.click(), clear: () => { this.query = []; this.asks(); }, watch: () => watchFor(this.body(), this.world.gallery) } });
  }

  body() {
    const ids = (uploaded) => this.query.filter((one) => Boolean(one.uploaded) === uploaded).map((one) => one.id);
    return { tracklets: ids(false), queries: ids(true), filters: this.filters, case: this.current.id, top: this.order.top, ...(this.order.rerank ? { rerank: this.order.rerank } : {}) };
  }

  /** The search that found a result, with what had been said then; of the result itself that does not count for its reasons. */
  bodyFor(row) {
    const { confirmed, rejected } = this.answer.judged, others = (ids) => ids.filter((id) => id !== row.id);
    return { ...this.searched, judged: { confirmed: others(confirmed), rejected: others(rejected) } };
  }

  /** Ask what is now to be asked; a search that is under way for anything else comes to nothing. */
  async search() {
    this.stop?.abort();
    if (!this.may || !this.query.length) return this.answerBox.setAttribute("aria-busy", "false");
    const stop = (this.stop = new AbortController());
    this.answerBox.setAttribute("aria-busy", "true");
    if (!this.answer) fill(this.answerBox, h("p.soft", { role: "status" }, `Searching ${count(this.world.gallery.tracklets, "tracklet")} …`));
    try {
      await this.current.stored();
      if (stop.signal.aborted) return;
      const body = this.body();
      const answer = await post("/search", body, { signal: stop.signal });
      if (stop.signal.aborted) return;
      Object.assign(this, { answer, searched: body, failed: false });
      this.showAnswer();
      tell(answer.unknown ? "Unknown: no result is likely enough" : count(answer.hits.length, "result"));
    } catch (error) {
      if (!stop.signal.aborted) this.fails(error);
    } finally {
      if (this.stop === stop) this.answerBox.setAttribute("aria-busy", "false");
    }
  }

  fails(error) {
    this.answer = null;
    this.failed = true;
    this.results.show([]);
    fill(this.head);
    fill(this.answerBox, trouble(error, () => this.search()), error.status === 404 && this.query.length ? h("button", { type: "button", onclick: () => this.dropMissing() }, "Go on without what is gone") : "");
  }

  /** Examples that were erased meanwhile go out of the query. */
  async dropMissing() {
    const { tracklets, queries } = this.body(), before = this.query;
    const left = await this.rows(tracklets, queries);
    if (this.query !== before) return;
    this.query = left;
    this.asks();
  }

  /** Those of the tracklets and queries that are still there. */
  async rows(tracklets, queries) {
    const all = [...tracklets.map((id) => get(`/tracklets/${id}`)), ...queries.map((id) => get(`/queries/${id}`).then(ofFile))];
    const found = (await Promise.allSettled(all)).filter((one) => one.status === "fulfilled").map((one) => one.value);
    if (found.length < all.length) tell(`${count(all.length - found.length, "example")} gone from the gallery`, "bad");
    return found;
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
    const said = this.current.judgements, found = answer.hits.length;
    for (const hit of answer.hits) if (said.has(hit.tracklet.id)) hit.verdict = said.get(hit.tracklet.id); // also what was said while the search ran
    renew(this.head, h("h2", {}, count(found, "result"), h("small.soft", {}, `, ${answer.searched.toLocaleString("en")} searched`)), orderBox(this.order, (order) => this.reorder(order)), priorLine(answer));
    this.results.show(answer.hits, answer);
    if (answer.measured && found) this.persons.show(this.searched);
    const taught = answer.rejected || answer.examples > this.query.length;
    renew(this.answerBox,
      taught ? h("p.small", { id: "taught" }, `Searched with ${count(answer.examples, "tracklet")}, what you confirmed included; ${answer.rejected} rejected kept out.`) : "",
      summary(answer), found ? measuredLine(answer) : "", this.whenBox,
      answer.measured && found ? this.persons.element : "",
      found ? this.results.list : h("div.card.empty", {}, h("b", {}, "No answer. "), "The filters let nothing through. Loosen them on the left."),
      this.moreButton(),
      h("p.soft.small", { id: "what-it-means" }, answer.note));
    this.showTimeline();
  }

  showTimeline() {
    const shown = new Set(), marks = [];
    const put = (row, kind, why = "") => { if (!shown.has(row.id)) { shown.add(row.id); marks.push({ row, kind, why }); } };
    this.query.filter((one) => !one.uploaded).forEach((row) => put(row, "query"));
    const kind = (hit) => hit.verdict ?? (hit.transition?.judgement === "impossible" ? "impossible" : "open");
    for (const hit of this.answer?.hits ?? []) put(hit.tracklet, kind(hit), hit.transition?.judgement === "impossible" ? hit.transition.why : "");
    for (const row of this.current.confirmed) put(row, "confirmed");
    renew(this.when, timeline(marks, (row) => {
      const i = this.answer.hits.findIndex((hit) => hit.tracklet.id === row.id);
      if (i >= 0) this.results.go(i);
      else look(row, { may: this.may });
    }));
  }

  showCase() {
    renew(this.caseBox, this.query.length || this.current.id ? caseBar(this.current, this.may, () => this.search()) : "");
  }

  async judge(hit, verdict) {
    const row = hit.tracklet, at = this.current.now;
    try {
      await this.current.judge(row, verdict, this.query);
      if (at === this.current.now && !this.arriving && this.world.shown === "Search") this.world.moved(true);
      tell(verdict === null ? "Taken back" : `${short(row.name)} ${verdict}`);
    } catch (error) {
      tell(`Not stored: ${error.message}`, "bad");
    }
    if (at === this.current.now) hit.verdict = at.judgements.get(row.id) ?? null; // of a search before this one, in a dialog that is still open
  }

  /** Something was said, of that row or in the whole. */
  judged(row = null) {
    this.showCase();
    const hit = row && this.answer?.hits.find((one) => one.tracklet.id === row.id);
    if (hit) {
      hit.verdict = this.current.judgements.get(row.id) ?? null;
      this.results.changed(row.id);
    }
    this.showTimeline();
  }

  labelled({ id, labels }) {
    for (const hit of this.answer?.hits ?? []) {
      if (hit.tracklet.id !== id) continue;
      hit.tracklet.labels = labels;
      this.results.changed(id);
    }
  }

  /** The gallery holds other tracklets than before. */
  told() {
    this.filterBox.told(this.world.gallery, this.world.cameras);
    this.filters = this.filterBox.value();
    this.list.load(this.filters, true);
    if (!this.query.length && !this.arriving) this.showAnswer();
  }

  /** Further results, where there may be any. */
  moreButton() {
    const { top } = this.order, found = this.answer.hits.length;
    if (found < top || found >= this.answer.searched || top >= MOST_RESULTS) return "";
    const next = Math.min(MOST_RESULTS, Math.ceil((top + 1) / STEP) * STEP);
    const go = async () => {
      await this.reorder({ ...this.order, top: next });
      if (this.order.top === next && this.answer?.hits[found]) this.results.go(found);
    };
    return h("p.bar", { "data-key": "more" }, h("button", { type: "button", onclick: go }, `Show ${Math.min(next - top, this.answer.searched - found).toLocaleString("en")} more`), h("span.soft.small", {}, `of ${this.answer.searched.toLocaleString("en")} searched`));
  }

  reorder(order) {
    this.order = order;
    this.world.moved();
    return this.search();
  }

  /** Go on with a stored case. */
  async resume(file) {
    Object.assign(this, { query: [...file.searched_for, ...file.uploaded.map(ofFile)], answer: null, arriving: null });
    this.current.take(file);
    this.showQuery();
    this.world.moved();
    await this.search();
  }

  /** What is shown, as an address: ids, never names. */
  address() {
    const { tracklets, queries } = this.body(), said = new URLSearchParams();
    if (tracklets.length) said.set("t", tracklets.join(","));
    if (queries.length) said.set("q", queries.join(","));
    if (this.current.id) said.set("case", this.current.id);
    if (this.order.top !== 30) said.set("top", this.order.top);
    if (this.order.rerank) said.set("rerank", this.order.rerank);
    const filters = this.filterBox.asText();
    if (filters) said.set("f", filters);
    const text = said.toString();
    return text && `?${text}`;
  }

  /** Show what an address says; the last one counts, in whatever order the answers come. */
  async arrive(said) {
    const turn = (this.arriving = Symbol("turn"));
    if ((this.address() || "?") === `?${said}`) return this.arrived();
    const ids = (name) => (said.get(name) ?? "").split(",").filter((one) => /^[0-9a-f]{1,64}$/.test(one));
    const [file, query] = await Promise.all([said.get("case") ? get(`/cases/${ids("case")[0]}`).catch(() => null) : undefined, this.rows(ids("t"), ids("q"))]);
    if (turn !== this.arriving) return;
    this.order = { top: Number(said.get("top")) || 30, rerank: Number(said.get("rerank")) || 0 };
    this.filters = this.filterBox.fromText(said.get("f") ?? "");
    this.list.load(this.filters);
    this.current.leave();
    Object.assign(this, { query, answer: null });
    if (file) this.current.take(file);
    else if (file === null) tell("That case is gone", "bad");
    this.showQuery();
    this.showAnswer();
    this.arrived();
    await this.search();
  }

  arrived() {
    this.arriving = null;
  }

  leave() {
    this.places = [scrollY, this.list.window.scrollTop, this.filterBox.element.scrollTop];
  }

  /** Shown again, where it was. */
  returns() {
    const [page, list, filters] = this.places ?? [0, 0, 0];
    scrollTo(0, page);
    Object.assign(this.list.window, { scrollTop: list });
    Object.assign(this.filterBox.element, { scrollTop: filters });
  }

  /** The server is back: what failed is asked again, what stood still is shown again. */
  back() {
    this.list.load(this.filters, true);
    if (this.failed) this.search();
    else if (this.answer) this.showAnswer();
  }

  key(event) {
    if (event.key === "u" && this.may) this.file.click();
    else if (event.key === "/") { this.element.querySelector("details.side").open = true; this.list.rows.focus(); }
    else if (event.key === "r" && this.answer?.hits.length) this.results.go(this.results.at);
    else return false;
    return true;
  }
}
