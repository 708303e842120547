// The view "Watch": who is looked out for, and what came of it; and the form that puts somebody on the list.

import { measuredLine, starred } from "./answer.js";
import { ask, get, post } from "./api.js";
import { camera, count, dialog, fill, h, percent, span, sure, tag, tell, trouble } from "./dom.js";
import { look } from "./look.js";
import { clip, release } from "./moving.js";
import { released, renew } from "./renew.js";
import { row as oneRow } from "./rows.js";

const WORDS = [["right", "✓ Right"], ["wrong", "✗ Wrong"], ["seen", "Seen"]];

export class WatchView {
  constructor(world) {
    Object.assign(this, { world, may: world.role !== "viewer", people: h("div", {}), said: h("div", {}), alerts: h("div", { "aria-live": "polite" }) });
    this.element = h("div.narrow", {}, h("h1", {}, "Watch list"),
      h("div.bar", {}, this.may && h("button", { type: "button", onclick: () => this.check() }, "Look now"), h("span.soft.small", {}, "New tracklets are looked at whenever something was taken in.")),
      this.people, h("h2", {}, "Alerts"), this.said, this.alerts);
  }

  async enter() {
    const turn = (this.turn = Symbol("turn"));
    try {
      const [people, alerts] = await Promise.all([get("/watch"), get("/alerts")]);
      await released();
      if (turn !== this.turn) return;
      renew(this.people, people.length ? h("ul.plain-list", {}, people.map((one) => this.person(one)))
        : h("div.card.empty", {}, h("b", {}, "Nobody is watched for. "), this.may ? "Search for somebody, then choose “Watch for this person”." : ""));
      renew(this.said, alerts.some((one) => one.probability !== null) ? measuredLine(this.world.gallery) : "");
      renew(this.alerts, alerts.length ? h("ol.hits", { "aria-label": "Alerts, newest first", ...oneRow("li") }, alerts.map((one) => this.alert(one))) : h("p.soft", {}, "No alert yet."));
    } catch (error) {
      if (turn === this.turn) renew(this.people, trouble(error, () => this.enter()));
    }
  }

  leave() {
    this.turn = null;
    release(this.alerts);
  }

  person(one) {
    const stop = async () => {
      if (!(await sure(`Watch for “${one.name}” no more?`, ["The reason and the examples are taken off the list. The alerts stay."], "Take off the list"))) return;
      try { await ask("DELETE", `/watch/${encodeURIComponent(one.name)}`); this.enter(); } catch (error) { tell(error.message, "bad"); }
    };
    const cut = one.min_score !== null ? `score above ${one.min_score}` : `${Number((one.far * 1000).toPrecision(6))} false alarms in 1,000 tracklets`;
    return h("li.card.job", { "data-key": one.name }, h("div", {}, h("b", {}, one.name), one.expired && h("span.badge", {}, "over")),
      h("div", {}, one.reason), h("div.soft.small", {}, [`since ${one.added.slice(0, 16).replace("T", " ")} UTC by ${one.by}`, one.expires && `until ${one.expires.slice(0, 16).replace("T", " ")} UTC`, cut, `from ${one.examples.join(", ")}`].filter(Boolean).join(" · ")),
      this.may && h("button.plain", { type: "button", onclick: stop }, "Take off the list"));
  }

  alert(one) {
    const say = async (word) => { try { await ask("PUT", `/alerts/${one.id}`, { word }); this.enter(); this.world.alerts(); } catch (error) { tell(error.message, "bad"); } };
    const row = one.tracklet, see = () => row && look(row, { may: this.may });
    const key = (event) => {
      const word = this.may && { c: "right", x: "wrong" }[event.key];
      if (event.altKey || event.ctrlKey || event.metaKey || !(word || (event.key === "Enter" && event.target.matches("li")))) return;
      event.preventDefault();
      event.stopPropagation();
      if (word) say(word);
      else see();
    };
    return h(`li.card.hit${one.word === "right" ? ".confirmed" : one.word === "wrong" ? ".rejected" : ""}`, { "data-key": one.id, tabindex: -1, onkeydown: key, "aria-label": [`Alert: ${one.person}`, row && camera(row), row && span(row), one.word ?? "new"].filter(Boolean).join(", ") },
      h("div.shot", {}, row ? clip(row) : h("div.pic.none", {}, "not in the gallery")),
      h("div.words", {}, h("div.line1", {}, h("b", {}, one.person), !one.word && h("span.badge", {}, "new")), row && h("div", {}, tag(row.modality), ` ${camera(row)}`), row && h("div.soft.small", {}, span(row)),
        h("div.odds", {}, one.probability === null ? h("span.soft.small", {}, this.world.gallery.calibrated ? "no probability" : "not calibrated") : h("span", {}, h("b", {}, percent(one.probability)), " the same person", starred()), h("span.soft.small", {}, `score ${one.score.toFixed(3)}`)),
        one.cause && h("div.soft.small.cause", { title: "What the score had to be above when the alert was raised" }, one.cause.words, Math.abs(one.cause.passed - one.score) < 5e-4 ? "" : `; by the calibration's weights it was ${one.cause.passed.toFixed(3)}`, one.cause.strangers === null ? "" : `; ${one.cause.strangers >= 0.5 ? "50% or more" : percent(one.cause.strangers)} of the strangers here were as alike`),
        one.word && h("div.soft.small", {}, `${one.word}, said ${one.by}`),
        h("div.acts", {}, this.may && WORDS.map(([word, text]) => h("button.judge", { type: "button", "aria-pressed": one.word === word, "aria-keyshortcuts": { right: "c", wrong: "x" }[word], title: { right: "Right (c)", wrong: "Wrong (x)" }[word], onclick: () => say(word) }, text)), row && h("button.plain", { type: "button", onclick: see }, "Look"))));
  }

  async check() {
    try {
      const report = await post("/watch-checks");
      const failed = Object.entries(report.failed).map(([name, why]) => `${name} was not looked for: ${why}`);
      tell([`${count(report.new, "new alert")}, ${count(report.watched, "person")} looked for`.replace("persons", "people"), ...failed].join(". "), failed.length ? "bad" : "");
      this.enter();
    } catch (error) {
      tell([error.message, error.todo].filter(Boolean).join(". "), "bad");
    }
  }
}

/** Put the person searched for on the list. */
export function watchFor(body, gallery) {
  const failed = h("div", {}), field = (name, label, more = {}) => h("label.time", {}, label, h("input", { name, autocomplete: "off", ...more }));
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const text = (name) => form.elements[name]?.value.trim() ?? "";
    const asked = { name: text("name"), reason: text("reason"), tracklets: body.tracklets, queries: body.queries, past: form.elements.past.checked };
    if (text("score")) asked.min_score = Number(text("score"));
    if (text("far")) asked.far = Number(text("far")) / 1000;
    if (text("until")) asked.expires_s = new Date(text("until")).getTime() / 1000;
    try {
      const made = await post("/watch", asked);
      let report = null, wrong = null;
      if (asked.past) await post("/watch-checks").then((said) => { report = said; }, (error) => { wrong = error; });
      box.close(); // the person is on the list, whatever the check said
      if (wrong) tell([`${made.name} is on the list, but nothing was checked: ${wrong.message}`, wrong.todo].filter(Boolean).join(". "), "bad");
      else tell(`Watching for ${made.name}${report ? `: ${count(report.new, "new alert")} among what is in the gallery` : ""}`);
    } catch (error) {
      fill(failed, trouble(error));
    }
  } },
  h("div.times.wide", {}, field("name", "name for this person", { required: true, maxlength: 80 }), field("reason", "reason (stands in the log)", { required: true, maxlength: 500 }), h("label.time", {}, "until", h("input", { name: "until", type: "datetime-local" })),
    gallery.calibrated ? field("far", "false alarms in 1,000 tracklets", { type: "number", min: 0.001, max: 999, step: "any", value: 1 }) : field("score", "least score (this model is not calibrated)", { type: "number", min: -1, max: 1, step: "any", required: true })),
  h("label.radio", {}, h("input", { type: "checkbox", name: "past" }), " also what is in the gallery already"), failed, h("div.bar", {}, h("button.main", {}, "Watch")));
  const box = dialog("Watch for this person", form);
}
