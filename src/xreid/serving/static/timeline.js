// Where and when: one row per camera, one mark per tracklet.

import { h, isDate, moment, span } from "./dom.js";

/** @param marks [{row, kind: "query"|"confirmed"|"rejected"|"open"}]; go is called with a row */
export function timeline(marks, go) {
  const timed = marks.filter((mark) => mark.row.start_s !== null);
  if (!timed.length) return h("p.soft.small", {}, marks.length ? "These tracklets have no times." : "Nothing to show yet.");
  const dated = timed.some((mark) => isDate(mark.row.start_s));
  const used = timed.filter((mark) => isDate(mark.row.start_s) === dated);
  const start = Math.min(...used.map((mark) => mark.row.start_s));
  const end = Math.max(...used.map((mark) => mark.row.end_s ?? mark.row.start_s), start + 1);
  const at = (seconds) => (100 * (seconds - start)) / (end - start);
  const cameras = [...new Set(used.map((mark) => mark.row.camera ?? "?"))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const order = { rejected: 0, open: 1, confirmed: 2, query: 3 };
  const line = (name) => h("div.lane", {}, h("span.lane-name", {}, name === "?" ? "unknown" : name), h("div.lane-track", {},
    used.filter((mark) => (mark.row.camera ?? "?") === name).sort((a, b) => order[a.kind] - order[b.kind]).map((mark) => {
      const left = at(mark.row.start_s), width = at(mark.row.end_s ?? mark.row.start_s) - left, word = mark.kind === "open" ? "proposed" : mark.kind;
      return h(`button.blip.is-${mark.kind}`, { type: "button", title: `${mark.row.name}: ${word}, ${span(mark.row)}`, "aria-label": `${mark.row.name}, camera ${name}, ${word}, ${span(mark.row)}`, onclick: () => go(mark.row), style: { left: `${Math.min(left, 99)}%`, width: `max(9px, ${width}%)` } });
    })));
  const left = marks.length - used.length;
  return h("div.timeline", {}, cameras.map(line), h("div.ends.soft.small", {}, h("span", {}, moment(start)), h("span", {}, moment(end))),
    h("p.key.small.soft", {}, h("i.blip.is-query"), "searched for ", h("i.blip.is-confirmed"), "confirmed ", h("i.blip.is-open"), "proposed ", h("i.blip.is-rejected"), "rejected", left ? ` · ${left} without a time` : ""));
}
