// The case at hand: opened with the first judgement, so that nothing that was said is lost; and the list of all.

import { ask, get, post } from "./api.js";
import { camera, count, dialog, fill, h, short, span, sure, tag, tell, trouble } from "./dom.js";
import { picture } from "./moving.js";
import { look } from "./look.js";
import { released, renew } from "./renew.js";
import { row as oneRow } from "./rows.js";
import { timeline } from "./timeline.js";

const KEPT = "The tracklets stay in the gallery, exported files stay where they are, and the audit log keeps who deleted it.";
const none = () => ({ id: null, title: "", judgements: new Map(), kept: new Map(), confirmed: [], before: Promise.resolve(), said: Promise.resolve() });

/**
 * The case that what is said goes into. `now` is another object as soon as somebody else is searched for: what is still on
 * its way to the server belongs to the one it was said in.
 */
export class Current {
  constructor(changed) {
    this.changed = changed;
    this.now = none();
  }

  get id() { return this.now.id; }
  get title() { return this.now.title; }
  get judgements() { return this.now.judgements; }
  get confirmed() { return this.now.confirmed; }

  leave() {
    this.now = none();
  }

  take(file) {
    const said = file.case.judgements.map((one) => [one.tracklet, one.verdict]);
    this.now = { ...none(), id: file.case.id, title: file.case.title, judgements: new Map(said), kept: new Map(said), confirmed: file.confirmed };
    this.changed();
  }

  /** When all that was said so far is stored, or could not be. */
  stored() {
    return this.now.said;
  }

  /** One after the other: two quick keys must not open two cases, nor may an older change overtake a newer one. */
  inTurn(act) {
    const done = this.now.before.then(act);
    this.now.before = done.catch(() => {});
    return done;
  }

  /** Whom the case searches for from now on. */
  asks(ids) {
    const at = this.now;
    return this.inTurn(() => at.id !== null && ask("PATCH", `/cases/${at.id}`, ids));
  }

  rename(title) {
    const at = this.now;
    return this.inTurn(async () => { at.title = (await ask("PATCH", `/cases/${at.id}`, { title })).title; });
  }

  /** What was said counts at once, and no more where it could not be stored. */
  async judge(row, verdict, query) {
    const at = this.now;
    this.note(at, row, verdict);
    const stored = this.inTurn(() => this.say(at, row, verdict, query));
    at.said = stored.catch(() => {});
    try {
      await stored;
      at.kept.set(row.id, verdict);
    } catch (error) {
      if ((at.judgements.get(row.id) ?? null) === verdict) this.note(at, row, at.kept.get(row.id) ?? null);
      throw error;
    }
    if (at === this.now) this.changed();
  }

  note(at, row, verdict) {
    at.judgements.set(row.id, verdict); // null: taken back
    at.confirmed = [...at.confirmed.filter((one) => one.id !== row.id), ...(verdict === "confirmed" ? [row] : [])];
    if (at === this.now) this.changed(row);
  }

  async say(at, row, verdict, query) {
    if (at.id === null) {
      const day = new Date().toISOString().slice(0, 10);
      const made = await post("/cases", { title: `${query[0]?.name ?? row.name}, ${day}`.slice(0, 190), tracklets: query.filter((one) => !one.uploaded).map((one) => one.id), queries: query.filter((one) => one.uploaded).map((one) => one.id) });
      Object.assign(at, { id: made.id, title: made.title });
    }
    const path = `/cases/${at.id}/judgements/${row.id}`;
    await (verdict === null ? ask("DELETE", path) : ask("PUT", path, { verdict }));
  }

  counts() {
    const words = [...this.judgements.values()];
    return [words.filter((word) => word === "confirmed").length, words.filter((word) => word === "rejected").length];
  }
}

/** What is said of the case above its results. */
export function caseBar(current, may, again) {
  if (current.id === null) return may ? h("p.soft.small", {}, "Confirm", h("span.by-key", {}, " (c)"), " or reject", h("span.by-key", {}, " (x)"), " a result, and a case is opened that keeps what you said.") : "";
  const [yes, no] = current.counts();
  const rename = async (event) => {
    const title = event.target.value.trim();
    if (!title || title === current.title) return;
    try {
      await current.rename(title);
      tell("Renamed");
    } catch (error) { tell(error.message, "bad"); }
  };
  return h("div.card.case-bar", { "data-key": current.id },
    h("label.case-title", {}, h("span.soft.small", {}, "Case"), h("input", { value: current.title, maxlength: 190, disabled: !may, onchange: rename })),
    h("span.counts-said", {}, h("b.yes", {}, `${yes} ✓`), " ", h("b.no", {}, `${no} ✗`)),
    may && h("button", { type: "button", title: "Search again, with what was confirmed and rejected", onclick: again }, "Search again"),
    may && h("button", { type: "button", onclick: () => exported(current.id) }, "Export"));
}

/** Save the case as a file. */
export async function exported(id) {
  try {
    const answer = await ask("POST", `/cases/${id}/export`, {}, { raw: true });
    const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: `case-${id}.html` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    dialog("Exported", h("p", {}, "One file with the pictures inside; print it or hand it on. Its SHA-256, which also stands in the audit log:"), h("p", {}, h("code", { id: "export-hash" }, answer.headers.get("x-content-sha256"))));
  } catch (error) {
    tell(error.message, "bad");
  }
}

export class CasesView {
  constructor(world) {
    Object.assign(this, { world, element: h("div.narrow", {}) });
  }

  address() {
    return this.at ? `/${this.at}` : "";
  }

  async arrive(_, [id]) {
    await (/^[0-9a-f]{16}$/.test(id ?? "") ? this.open(id) : this.enter());
  }

  leave() {
    Object.assign(this, { at: null, turn: null });
  }

  back() {
    return this.at ? this.open(this.at) : this.enter();
  }

  async enter() {
    this.at = null;
    this.world.moved();
    const turn = (this.turn = Symbol("turn"));
    try {
      const cases = await get("/cases");
      await released();
      if (turn !== this.turn) return;
      renew(this.element, h("h1", {}, "Cases"), cases.length
        ? h("ul.plain-list", oneRow("button"), cases.map((one) => this.line(one)))
        : h("div.card.empty", {}, h("b", {}, "No case yet. "), "One is opened when a result is confirmed or rejected."));
    } catch (error) {
      if (turn === this.turn) fill(this.element, trouble(error, () => this.enter()));
    }
  }

  line(one) {
    if (one.damaged) return h("li.card.job.failed", { "data-key": one.id }, h("b", {}, "Damaged case"), h("div.small", {}, one.damaged), this.may && h("button.danger", { type: "button", onclick: () => this.removeDamaged(one.id) }, "Delete"));
    const yes = one.judgements.filter((j) => j.verdict === "confirmed").length;
    return h("li.card", { "data-key": one.id }, h("button.row", { type: "button", onclick: () => this.open(one.id) }, h("b", {}, one.title), h("span.soft.small", {}, `${count(yes, "tracklet")} confirmed, ${one.judgements.length - yes} rejected · ${one.owner} · ${one.made.slice(0, 16).replace("T", " ")} UTC`)));
  }

  get may() { return this.world.role !== "viewer"; }

  removeDamaged(id) {
    return this.remove(id, "Delete the damaged case?", [`Its title, its note and everything that was confirmed and rejected in it are lost, also what could still be read in cases/${id}.json. Uploaded examples that only it named go when their time is over.`, KEPT]);
  }

  async remove(id, title, words) {
    if (!(await sure(title, words, "Delete for good"))) return;
    try {
      await ask("DELETE", `/cases/${id}`);
      tell("Deleted");
      await this.enter();
    } catch (error) { tell(error.message, "bad"); }
  }

  async open(id) {
    this.at = id;
    this.world.moved();
    const turn = (this.turn = Symbol("turn")), back = () => h("button.plain.back", { type: "button", onclick: () => this.enter() }, "← All cases");
    try {
      const file = await get(`/cases/${id}`), may = this.world.role !== "viewer";
      if (turn !== this.turn) return;
      const marks = [...file.searched_for.map((row) => ({ row, kind: "query" })), ...file.confirmed.map((row) => ({ row, kind: "confirmed" })), ...file.rejected.map((row) => ({ row, kind: "rejected" }))];
      const group = (title, rows) => [h("h2", {}, title, h("small", {}, ` ${rows.length}`)), rows.length ? h("div.small-cards", { role: "group", "aria-label": title, ...oneRow("button") }, rows.map((row) => h("button.card.mini", { type: "button", onclick: () => look(row, { may }) }, picture(row, 160), h("b", { title: row.name }, short(row.name, 18)), tag(row.modality), h("span.small", {}, row.uploaded ? "from a file" : camera(row)), h("span.soft.small", {}, row.uploaded ? "" : span(row))))) : h("p.soft", {}, "none")];
      const remove = () => this.remove(id, `Delete the case “${file.case.title}”?`, [`Its note, ${count(file.confirmed.length, "confirmed tracklet")}, ${file.rejected.length} rejected${file.uploaded.length ? `, and the ${count(file.uploaded.length, "uploaded example")} that no other case needs,` : ""} go with it. Nobody can bring that back.`, KEPT]);
      const note = h("textarea", { rows: 3, maxlength: 4000, value: file.case.note, disabled: !may, onchange: async () => { try { await ask("PATCH", `/cases/${id}`, { note: note.value }); tell("Stored"); } catch (error) { tell(error.message, "bad"); } } });
      fill(this.element,
        back(), h("h1", {}, file.case.title),
        h("div.bar", {}, may && h("button.main", { type: "button", onclick: () => this.world.resume(file) }, "Go on searching"), may && h("button", { type: "button", onclick: () => exported(id) }, "Export"), h("button", { type: "button", onclick: () => print() }, "Print"), may && h("button.plain", { type: "button", onclick: remove }, "Delete")),
        file.missing ? h("div.warn", {}, h("p", {}, `${count(file.missing, "tracklet")} of this case are not in the gallery any more.`)) : "",
        h("label.time.note", {}, "note", note), h("div.card", {}, timeline(marks, (row) => look(row, { may }))),
        ...group("Searched for", [...file.searched_for, ...file.uploaded.map((one) => ({ ...one, uploaded: true }))]), ...group("Confirmed", file.confirmed), ...group("Rejected", file.rejected));
    } catch (error) {
      const damaged = error.status === 422 && (await get("/cases").catch(() => [])).some((one) => one.id === id && one.damaged); // else something that it needs is
      if (turn !== this.turn) return;
      fill(this.element, back(), h("h1", {}, damaged ? "Damaged case" : "Case"), trouble(error, () => this.open(id)), damaged && this.may ? h("button.danger", { type: "button", onclick: () => this.removeDamaged(id) }, "Delete") : "");
    }
  }
}
