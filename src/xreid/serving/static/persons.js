// Results grouped into probable persons, each with the way over the cameras.

import { post } from "./api.js";
import { camera, count, fill, h, percent, span, tag, trouble, utc } from "./dom.js";
import { picture } from "./moving.js";
import { look } from "./look.js";

/** A fold that groups when it is opened; body says what to search for. */
export function personsBox(body) {
  const inside = h("div", {}, h("p.soft.small", {}, "Grouping …"));
  const fold = h("details.card.when", {}, h("summary", {}, "Probable persons among these"), inside);
  const load = async () => {
    try {
      const people = await post("/persons", body());
      fill(inside, ...people.map(person));
    } catch (error) {
      fill(inside, trouble(error, load));
    }
  };
  fold.addEventListener("toggle", () => fold.open && load(), { once: true });
  return fold;
}

function person(one, i) {
  const title = one.asked ? "The person searched for" : `Person ${i + 1}`;
  const sure = one.sightings.length > 1 ? `, one person with ${percent(one.probability)}, weakest pair ${percent(one.weakest)}` : "";
  return h("section.person", {}, h("h3", {}, title, h("small.soft", {}, ` ${count(one.sightings.length, "tracklet")}${sure}`)),
    h("ol.way", {}, one.sightings.map(({ tracklet: row, transition }) => h("li", {},
      transition && h("span.small.soft", { title: transition.why }, transition.judgement === "impossible" ? "✗ " : "→ "),
      row ? h("button.card.mini", { type: "button", title: utc(row), onclick: () => look(row) }, picture(row, 120), tag(row.modality), h("span.small", {}, camera(row)), h("span.soft.small", {}, span(row))) : h("span.card.mini", {}, "your file")))));
}
