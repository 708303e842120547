// Labels of a tracklet: seen, added, removed; and all that there are, to choose from.

import { get, post } from "./api.js";
import { fill, h, tell } from "./dom.js";

let known = null;
/** The labels of the gallery, most used first; asked for once, and again when one was added. */
export async function allLabels() {
  known ??= get("/labels").catch(() => { known = null; return []; });
  return (await known).map((one) => one.label);
}

/** A field for a label that proposes those that there are, asked for when somebody comes to it. */
export function labelField(attributes, id) {
  const list = h("datalist", { id });
  const field = h("input", { type: "text", name: "label", maxlength: 100, autocomplete: "off", list: id, onfocus: async ({ target }) => fill(target.list, (await allLabels()).map((one) => h("option", { value: one }))), ...attributes });
  return [field, list];
}

/** What a tracklet is labelled, and a field for another label; row.labels is kept true. */
export function labelsBox(row, may) {
  const place = h("div.labels", { role: "group", "aria-label": "Labels" });
  const change = async (add, remove) => {
    try {
      const [changed] = await post("/labels", { tracklets: [row.id], add, remove });
      row.labels = changed.labels;
      known = null;
      document.dispatchEvent(new CustomEvent("labelled", { detail: changed }));
      show();
      tell(add.length ? `Labelled “${add[0]}”` : `“${remove[0]}” taken off`);
    } catch (error) {
      tell(`Not stored: ${error.message}`, "bad");
    }
  };
  const show = () => {
    const [field, choices] = labelField({ placeholder: "new label", "aria-label": "New label" }, "labels-known");
    fill(place, h("b", {}, "Labels"), !row.labels.length && h("span.soft.small", {}, "none"),
      row.labels.map((one) => h("span.chip", {}, one, may && h("button.plain", { type: "button", "aria-label": `Take the label ${one} off`, onclick: () => change([], [one]) }, "✕"))),
      may && h("form.bar", { onsubmit: (event) => { event.preventDefault(); const text = field.value.trim(); if (text) change([text], []).then(() => place.querySelector("input")?.focus()); } }, field, choices, h("button", {}, "Add")));
  };
  show();
  return place;
}
