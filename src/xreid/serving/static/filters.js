// Cameras, times and the other filters.

import { count, h, isDate, zone } from "./dom.js";
import { labelField } from "./labels.js";
import { renew } from "./renew.js";
import { row } from "./rows.js";

const FEW = 8; // cameras that Tab goes through one by one; more of them are one stop

const local = (seconds) => {
  const d = new Date(seconds * 1000);
  return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

/** What a camera saw, hour by hour. */
function hours(camera, from, to) {
  const bins = 32, step = Math.max(3600, (to - from) / bins), sums = new Array(bins).fill(0);
  for (const [hour, n] of camera.hours) sums[Math.min(bins - 1, Math.floor((hour - from) / step))] += n;
  const most = Math.max(...sums, 1);
  return h("span.hours", { "aria-hidden": "true" }, sums.map((n) => h("i", { style: { height: n ? `${Math.max(12, (100 * n) / most)}%` : "0" } })));
}

export class Filters {
  /** @param changed called with the filters whenever they change */
  constructor(gallery, cameras, changed) {
    this.changed = changed;
    this.element = h("form.filters", { onsubmit: (event) => event.preventDefault(), oninput: (event) => this.soon(event) });
    this.told(gallery, cameras);
  }

  /** What there is to choose from; what is chosen stays. */
  told(gallery, cameras) {
    Object.assign(this, { gallery, cameras, dated: cameras.some((one) => isDate(one.first_s)) });
    renew(this.element, this.cameraBox(), this.timeBox(), this.moreBox());
  }

  soon(event) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.changed(this.value()), event.target.type === "checkbox" || event.target.type === "radio" ? 0 : 350);
  }

  cameraBox() {
    const known = this.cameras.filter((one) => one.name !== null);
    const times = known.filter((one) => isDate(one.first_s));
    const from = Math.min(...times.map((one) => one.first_s)), to = Math.max(...times.map((one) => one.last_s));
    const line = (one) => h("label.camera", { "data-key": one.name, title: `${one.visible} visible, ${one.infrared} infrared` },
      h("input", { type: "checkbox", name: "camera", value: one.name }),
      h("span", {}, one.name, one.place && h("small.soft", {}, ` ${one.place}`)),
      isDate(one.first_s) && hours(one, from, to),
      h("span.split", { "aria-hidden": "true" }, h("i.v", { style: { "flex-grow": one.visible } }), h("i.r", { style: { "flex-grow": one.infrared } })),
      h("span.soft.small.n", {}, (one.visible + one.infrared).toLocaleString("en")));
    return h("fieldset", {}, h("legend", {}, "Cameras"),
      known.length ? h("div.cameras", known.length > FEW ? row("input") : {}, known.map(line)) : h("p.soft.small", {}, "The tracklets name no camera."),
      h("label", {}, h("input", { type: "checkbox", name: "other" }), " other cameras than the query’s"));
  }

  timeBox() {
    const known = this.cameras.filter((one) => one.first_s !== null);
    if (!known.length) return h("p.soft.small", {}, "No tracklet of this gallery has a time.");
    const first = Math.min(...known.map((one) => one.first_s)), last = Math.max(...known.map((one) => one.last_s));
    const field = (name, label, value) => h("label.time", {}, label, this.dated
      ? h("input", { type: "datetime-local", name, min: local(first - 60), max: local(last + 120) })
      : h("input", { type: "number", name, min: 0, step: "any", placeholder: `${Math.floor(value)} s` }));
    return h("fieldset", {}, h("legend", {}, "Time ", h("small.soft", {}, this.dated ? zone() : "seconds of the video")), h("div.times.wide", {}, field("from", "from", first), field("to", "to", last)));
  }

  moreBox() {
    const radio = (value, text) => h("label.radio", {}, Object.assign(h("input", { type: "radio", name: "modality", value }), { defaultChecked: value === "" }), ` ${text}`);
    const places = this.gallery.places, sets = this.gallery.sets;
    const select = (name, title, options) => options.length > 1 && h("label.time", {}, title, h("select", { name }, h("option", { value: "" }, "all"), options.map(([value, text]) => h("option", { value, "data-key": value }, text))));
    return h("fieldset", {}, h("legend", {}, "Modality"),
      h("div.radios", {}, radio("", "any"), radio("vis", "visible"), radio("ir", "infrared")),
      h("div.times", {},
        select("place", "place", places.map((one) => [one, one])),
        select("set", "set", sets.map((one) => [one.key, `${one.name} (${count(one.rows, "tracklet")})`])),
        h("label.time", {}, "label", labelField({}, "labels-filter")),
        h("label.time", {}, "least quality", h("input", { type: "number", name: "quality", min: 0, max: 1, step: 0.05 }))),
      h("button.plain.small", { type: "button", onclick: () => { this.element.reset(); clearTimeout(this.timer); this.changed(this.value()); } }, "Clear all filters"));
  }

  value() {
    const form = new FormData(this.element), text = (name) => (form.get(name) ?? "").trim();
    const time = (name, more) => (text(name) === "" ? null : this.dated ? new Date(text(name)).getTime() / 1000 + more : Number(text(name)));
    return {
      cameras: form.getAll("camera"),
      other_cameras: form.has("other"),
      modality: text("modality") || null,
      from_s: time("from", 0),
      to_s: time("to", 59),
      places: text("place") ? [text("place")] : [],
      sets: text("set") ? [text("set")] : [],
      labels: text("label") ? [text("label")] : [],
      min_quality: text("quality") === "" ? null : Number(text("quality")),
    };
  }

  /** What is filled in, for an address; empty where nothing is. */
  asText() {
    return new URLSearchParams([...new FormData(this.element)].filter(([, value]) => value !== "")).toString();
  }

  /** Fill in what an address says; returns the filters. */
  fromText(text) {
    clearTimeout(this.timer); // what was typed before is no more asked for
    this.element.reset();
    const said = new URLSearchParams(text);
    for (const field of this.element.elements) {
      if (!field.name || !said.has(field.name)) continue;
      if (field.type === "checkbox" || field.type === "radio") field.checked = said.getAll(field.name).includes(field.value);
      else field.value = said.get(field.name);
    }
    return this.value();
  }
}
