// The view "Search": filters and tracklets on one side, the query, its results and the case on the other.

import { emptyGallery, measuredLine, priorLine, summary } from "./answer.js";
import { get, post } from "./api.js";
import { asked } from "./asked.js";
import { caseBar, Current } from "./case.js";
import { count, fill, h, short, tell, trouble } from "./dom.js";
import { look } from "./look.js";
import { moreButton, orderBox } from "./order.js";
import { PersonsBox } from "./persons.js";
import { bodyOf, FIRST, fromAddress, ofFile, stillThere, toAddress } from "./question.js";
import { renew } from "./renew.js";
import { Results } from "./results.js";
import { Side } from "./side.js";
import { marksOf, TimelineBox } from "./timeline.js";
import { fromFile } from "./upload.js";
import { watchFor } from "./watch.js";

const MOST_EXAMPLES = 20; // what the server takes

export class SearchView {
  constructor(world) {
    Object.assign(this, { world, may: world.role !== "viewer", query: [], answer: null, order: FIRST });
    this.current = new Current((row) => this.judged(row));
    const context = () => ({ query: this.query, body: (row) => this.bodyFor(row), uploads: world.gallery.uploads });
    this.results = new Results({ judge: (hit, verdict) => this.judge(hit, verdict), more: (hit) => this.choose(hit.tracklet, false), example: (row) => this.example(row), context }, this.may);
    this.when = new TimelineBox((row) => this.goTo(row));
    this.persons = new PersonsBox();
    this.element = this.build();
    this.filters = this.filterBox.value();
    this.list.load(this.filters);
    document.addEventListener("labelled", (event) => this.labelled(event.detail));
  }

  build() {
    this.side = new Side(this.world, {
      filtered: (value) => { this.filters = value; this.list.load(value); this.world.moved(); this.search(); },
      choose: (row, more) => (this.may ? this.choose(row, more) : look(row)),
    });
    Object.assign(this, { list: this.side.list, filterBox: this.side.filters });
    this.file = h("input", { type: "file", accept: "image/*,video/*,.avi,.mkv,.ts", hidden: true, onchange: () => { if (this.file.files[0]) this.upload(this.file.files[0]); this.file.value = ""; } });
    Object.assign(this, { queryBox: h("div.query-box", {}), caseBox: h("div", {}), head: h("div.bar.result-head", {}), answerBox: h("div.answer-box", { "aria-busy": "false" }) });
    this.showQuery();
    this.showAnswer();
    return h("div.two-columns", {}, h("h1.unseen", {}, "Search"), this.side.element, h("section.content", { "aria-label": "Search", tabindex: "-1" }, this.queryBox, this.caseBox, this.head, this.answerBox, this.file));
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
      this.side.chosen();
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
    asked(this.queryBox, this.query, { may: this.may, acts: { take: (row) => this.choose(row, true), choose: () => this.file.click(), list: () => this.side.toList(), clear: () => { this.query = []; this.asks(); }, watch: () => watchFor(this.body(), this.world.gallery) } });
  }

  body() {
    return bodyOf(this.query, { filters: this.filters, file: this.current.id, order: this.order });
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
    if (!before.length) return;
    const left = await stillThere(tracklets, queries, before);
    if (this.query !== before) return;
    Object.assign(this, { query: left, answer: null }); // who was found may be gone, too
    this.asks();
  }

  showAnswer() {
    const answer = this.answer;
    this.showCase();
    if (!answer) {
      this.results.show([]);
      fill(this.head);
      fill(this.answerBox, this.world.gallery.tracklets ? "" : emptyGallery(this.may && (() => this.world.open("Footage"))));
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
      summary(answer), found ? measuredLine(answer) : "", this.when.element,
      answer.measured && found ? this.persons.element : "",
      found ? this.results.list : h("div.card.empty", {}, h("b", {}, "No answer. "), "The filters let nothing through. Loosen them on the left."),
      this.more(),
      h("p.soft.small", { id: "what-it-means" }, answer.note));
    this.showTimeline();
  }

  showTimeline() {
    this.when.show(marksOf(this.query, this.answer?.hits ?? [], this.current.confirmed));
  }

  goTo(row) {
    const i = this.answer.hits.findIndex((hit) => hit.tracklet.id === row.id);
    if (i >= 0) this.results.go(i);
    else look(row, { may: this.may });
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
  more() {
    const found = this.answer.hits.length;
    return moreButton(this.order.top, { found, searched: this.answer.searched }, async (next) => {
      await this.reorder({ ...this.order, top: next });
      if (this.order.top === next && this.answer?.hits[found]) this.results.go(found);
    });
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
    return toAddress(this.body(), this.filterBox.asText());
  }

  /** Show what an address says; the last one counts, in whatever order the answers come. */
  async arrive(said) {
    const turn = (this.arriving = Symbol("turn"));
    if ((this.address() || "?") === `?${said}`) return this.arrived();
    const asked = fromAddress(said);
    const [file, query] = await Promise.all([asked.file ? get(`/cases/${asked.file}`).catch(() => null) : undefined, stillThere(asked.tracklets, asked.queries)]);
    if (turn !== this.arriving) return;
    this.order = asked.order;
    this.filters = this.filterBox.fromText(asked.filters);
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
    this.side.leave();
  }

  returns() {
    this.side.returns();
  }

  /** The server is back: what failed is asked again, what stood still is shown again. */
  back() {
    this.list.load(this.filters, true);
    if (this.failed) this.search();
    else if (this.answer) this.showAnswer();
  }

  key(event) {
    if (event.key === "u" && this.may) this.file.click();
    else if (event.key === "/") this.side.toList();
    else if (event.key === "t" && this.answer) this.when.focus();
    else if (event.key === "r" && this.answer?.hits.length) this.results.go(this.results.at);
    else return false;
    return true;
  }
}
