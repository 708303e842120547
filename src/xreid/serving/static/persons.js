// Results grouped into probable persons, each with the way over the cameras.

import { starred } from "./answer.js";
import { post } from "./api.js";
import { camera, count, fill, h, percent, span, tag, trouble, utc } from "./dom.js";
import { picture } from "./moving.js";
import { look } from "./look.js";
import { row as oneRow } from "./rows.js";

const MOST = 200; // what the server groups

/** A fold that groups what a search found, when it is opened and while it is open. */
export class PersonsBox {
  constructor() {
    this.inside = h("div", {});
    this.element = h("details.card.when", { ontoggle: () => this.load() }, h("summary", {}, "Probable persons among these"), this.inside);
  }

  /** Another answer; body says what to search for. */
  show(body) {
    this.body = body;
    this.load();
  }

  async load() {
    const { body } = this;
    if (!this.element.open || this.loaded === body) return;
    this.loaded = body;
    if (!this.inside.childElementCount) fill(this.inside, h("p.soft.small", {}, "Grouping …"));
    try {
      const people = await post("/persons", { ...body, top: Math.min(body.top, MOST) });
      if (this.body === body) fill(this.inside, body.top > MOST ? h("p.soft.small", {}, `Of the first ${MOST} results.`) : "", ...people.map(person));
    } catch (error) {
      if (this.body !== body) return;
      this.loaded = null;
      fill(this.inside, trouble(error, () => this.load()));
    }
  }
}

function person(one, i) {
  const title = one.asked ? "The person searched for" : `Person ${i + 1}`;
  const sure = one.sightings.length > 1 ? [`, one person with ${percent(one.probability)}, weakest pair ${percent(one.weakest)}`, starred()] : "";
  return h("section.person", {}, h("h3", {}, title, h("small.soft", {}, ` ${count(one.sightings.length, "tracklet")}`, sure)),
    h("ol.way", oneRow("button"), one.sightings.map(({ tracklet: row, transition }) => h("li", {},
      transition && h("span.small.soft", { title: transition.why }, transition.judgement === "impossible" ? "✗ " : "→ "),
      row ? h("button.card.mini", { type: "button", title: utc(row), onclick: () => look(row) }, picture(row, 120), tag(row.modality), h("span.small", {}, camera(row)), h("span.soft.small", {}, span(row))) : h("span.card.mini", {}, "your file")))));
}
