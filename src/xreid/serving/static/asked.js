// Whom the search is for: the examples chosen so far, and the place where a file can be dropped.

import { camera, count, h, short, span, tag } from "./dom.js";
import { look } from "./look.js";
import { clip } from "./moving.js";
import { renew } from "./renew.js";
import { row as oneRow } from "./rows.js";

/** @param acts take(row): in or out; choose(): a file; list(): go to the list; watch(): look out for this person */
export function asked(place, query, { may, acts }) {
  if (!may) {
    renew(place, h("p.soft", {}, "You may look at what the cameras saw; searching needs the role operator."));
    return;
  }
  const drop = h("button.drop-zone", { type: "button", onclick: acts.choose }, h("b", {}, query.length ? "Another picture or clip of this person" : "Drop a picture or clip"), h("span.soft.small", {}, "or choose a file", h("span.by-key", {}, " (u)")));
  renew(place, h("h2", {}, query.length > 1 ? `Searched for: one person, ${query.length} examples` : query.length ? "Searched for" : "Whom do you look for?"),
    !query.length && h("p.soft", {}, "Pick a tracklet from ", h("button.link", { type: "button", onclick: acts.list }, "the list"), ", or drop a picture or a clip anywhere on this page.", h("span.by-key", {}, " Shift-click picks several of one person.")),
    h(`div.asked-row${query.length > 3 ? ".many" : ""}`, query.length > 3 ? oneRow("button") : {}, query.map((row) => part(row, acts)), drop),
    query.length ? h("div.bar.under", {}, h("button", { type: "button", onclick: acts.watch }, "Watch for this person"), h("button.plain", { type: "button", onclick: acts.clear }, "New search")) : "");
}

function part(row, acts) {
  const from = row.uploaded ? `${count(row.frames, "picture")}, from your file` : span(row);
  return h("div.asked", { "data-key": row.id }, h("div.asked-shot", {}, clip(row)),
    h("div", {}, h("b", { title: row.name }, short(row.name)), h("div", {}, tag(row.modality), row.guessed && h("span.soft.small", {}, " by its colours")), !row.uploaded && h("div.small", {}, camera(row)), h("div.soft.small", {}, from),
      h("div.acts", {}, h("button.plain", { type: "button", onclick: () => look(row) }, "Look"), h("button.plain", { type: "button", "aria-label": `Take out ${row.name}`, onclick: () => acts.take(row) }, "Take out"))));
}
