// The view "Footage": what is being taken in, and what was.

import { ask, get, post, send } from "./api.js";
import { count, fill, h, tell, trouble } from "./dom.js";
import { released, renew } from "./renew.js";

const POLL_MS = 1500;

export class FootageView {
  constructor(world) {
    Object.assign(this, { world, jobs: h("div", { "aria-live": "polite" }), element: h("div.narrow", {}) });
    const may = world.role !== "viewer";
    this.element.append(h("h1", {}, "Footage"), may ? this.form() : "", h("h2", {}, "In the background"), this.jobs, h("h2", {}, "In the gallery"), (this.sets = h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Sets in the gallery" })));
  }

  form() {
    const { gallery } = this.world;
    if (!gallery.uploads && !gallery.imports) return h("p.soft", {}, "This server takes in nothing: it was started without --checkpoint and without --imports.");
    const field = (name, label, more = {}) => h("label.time", {}, label, h("input", { name, autocomplete: "off", ...more }));
    const failed = h("div", {}), bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sent" });
    const form = h("form.card.take-in", { onsubmit: (event) => { event.preventDefault(); this.submit(form, failed, bar); } },
      h("div.times.wide", {},
        gallery.uploads && h("label.time.file", {}, "video", h("input", { type: "file", name: "file", accept: "video/*,.avi,.mkv,.ts" })),
        gallery.imports && field("path", "or a path in the import folder", { placeholder: "gate/2026-11-20.mp4" }),
        gallery.imports && h("label.time", {}, "that path is", h("select", { name: "kind" }, gallery.uploads && h("option", { value: "video" }, "a video"), h("option", { value: "embeddings" }, "an embedding set"))),
        field("name", "name in the gallery", { required: true, pattern: "[\\w.@ \\-]{1,60}", maxlength: 60 }), field("camera", "camera", { maxlength: 60 }), field("place", "place", { maxlength: 60 }),
        h("label.time", {}, "first frame taken at", h("input", { type: "datetime-local", name: "start", step: 1 })),
        h("label.time", {}, "modality", h("select", { name: "modality" }, h("option", { value: "auto" }, "from the pixels"), h("option", { value: "vis" }, "visible"), h("option", { value: "ir" }, "infrared")))),
      failed, bar, h("div.bar", {}, h("button.main", {}, "Take in")));
    return form;
  }

  async submit(form, failed, bar) {
    const data = new FormData(form), text = (name) => (data.get(name) ?? "").toString().trim(), file = data.get("file");
    fill(failed);
    try {
      const body = { kind: text("path") ? text("kind") : "video", name: text("name"), modality: text("modality") };
      for (const name of ["camera", "place"]) if (text(name)) body[name] = text(name);
      if (text("start")) body.start = new Date(text("start")).toISOString();
      if (text("path")) body.path = text("path");
      else if (file?.size) {
        bar.hidden = false;
        body.upload = (await send(file, (share) => { bar.value = share; })).id;
      } else throw Object.assign(new Error("Choose a video, or name a path."));
      const job = await post("/jobs", body);
      tell(job.state === "queued" ? "Queued" : `This was asked for before: ${job.state}`);
      form.reset();
      this.poll();
    } catch (error) {
      fill(failed, trouble(error));
    } finally {
      bar.hidden = true;
    }
  }

  async enter() {
    this.here = true;
    await this.poll();
  }

  leave() {
    this.here = false;
    clearTimeout(this.timer);
  }

  async poll() {
    clearTimeout(this.timer);
    const turn = (this.turn = Symbol("turn"));
    try {
      const jobs = await get("/jobs"), gallery = await get("/gallery"); // the gallery last: nobody asks again when all jobs are done
      await released();
      if (turn !== this.turn) return;
      renew(this.jobs, jobs.length ? h("ul.plain-list", {}, jobs.map((job) => this.line(job))) : h("p.soft", {}, "Nothing yet."));
      renew(this.sets, gallery.sets.length ? this.table(gallery.sets) : h("p.soft", {}, "Nothing yet."));
      const busy = jobs.some((job) => job.state === "queued" || job.state === "running");
      if (gallery.tracklets !== this.world.gallery.tracklets) this.world.refresh();
      if (this.here && busy) this.timer = setTimeout(() => this.poll(), POLL_MS);
    } catch (error) {
      if (turn === this.turn) renew(this.jobs, trouble(error, () => this.poll()));
    }
  }

  table(sets) {
    const columns = ["set", "tracklets", "erased", "since"].map((one, i) => h(i === 1 || i === 2 ? "th.number" : "th", { scope: "col" }, one));
    const line = (one) => h("tr", { "data-key": one.key }, h("th", { scope: "row" }, one.name), h("td.number", {}, one.rows.toLocaleString("en")), h("td.number", {}, one.erased), h("td", {}, `${one.appended.slice(0, 16).replace("T", " ")} UTC`));
    return h("table.lines", {}, h("thead", {}, h("tr", {}, columns)), h("tbody", {}, sets.map(line)));
  }

  line(job) {
    const running = job.state === "running" || job.state === "queued";
    const stop = async () => { try { await ask("DELETE", `/jobs/${job.id}`); this.poll(); } catch (error) { tell(error.message, "bad"); } };
    const left = job.result.left_out || [];
    const came = job.result.appended ? `${count(job.result.appended, "tracklet")} appended` : left.length ? "nothing appended" : "was in the gallery already";
    const told = { queued: "waiting", running: `${job.step}${job.total ? ` ${Math.round((100 * job.done) / job.total)}%` : ""}`, done: [came, ...left].join("; "), failed: [job.problem.detail, job.problem.todo].filter(Boolean).join(". "), cancelled: "cancelled" }[job.state];
    return h(`li.card.job.${job.state}`, { "data-key": job.id }, h("div", {}, h("b", {}, job.name), h("span.soft.small", {}, ` ${job.kind} · ${job.owner} · ${job.made.slice(0, 16).replace("T", " ")} UTC`)), h("div", {}, told),
      job.state === "running" && h("progress", { max: job.total || 1, value: job.total ? job.done : null, "aria-label": job.step }),
      running && this.world.role !== "viewer" && h("button.plain", { type: "button", onclick: stop }, "Cancel"));
  }
}
