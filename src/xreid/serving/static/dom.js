// Elements, times and words. Text only ever enters the page as text.

import { oneStop } from "./rows.js";

/** An element: h("button.plain", {onclick, "aria-label": "x"}, "text", child, ...). */
export function h(kind, attributes = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("aria-") && typeof value === "boolean") { element.setAttribute(key, value); continue; }
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) hear(element, key.slice(2), value);
    else if (key === "style") for (const [what, how] of Object.entries(value)) element.style.setProperty(what, how);
    else if (PROPERTIES.includes(key)) (element.given ??= {})[key] = element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter(real));
  return element;
}

const PROPERTIES = ["value", "checked", "disabled", "selected", "muted", "loop", "playsInline", "hidden", "open"];
export const real = (child) => child !== null && child !== undefined && child !== false && child !== "";

/** Act on an event; another act takes the place of the one before. */
export function hear(element, type, act) {
  element.acts ??= {};
  if (!(type in element.acts)) element.addEventListener(type, (event) => element.acts[type]?.call(element, event));
  element.acts[type] = act;
}

/** What a place shows from now on; nothing for what is not there. */
export function fill(place, ...children) {
  place.replaceChildren(...children.flat(3).filter(real));
  oneStop(place);
}

const UNIX_FROM = 10 * 365 * 86400; // smaller times count from the start of a video
export const isDate = (seconds) => seconds !== null && seconds >= UNIX_FROM;
const two = (number) => String(number).padStart(2, "0");
const day = (d) => `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
const clock = (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;

/** A moment in the operator's own time zone, or minutes of the video. */
export function moment(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (!isDate(seconds)) return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
  const d = new Date(seconds * 1000);
  return `${day(d)} ${clock(d)}`;
}

export function span(row) {
  const start = moment(row.start_s), end = moment(row.end_s);
  if (!start || !end || start === end) return start || end || "time unknown";
  const sameDay = isDate(row.start_s) && start.slice(0, 10) === end.slice(0, 10);
  return `${start} – ${sameDay ? end.slice(11) : end}`;
}

/** For the title of an element: the same in UTC. */
export function utc(row) {
  const show = (s) => (isDate(s) ? new Date(s * 1000).toISOString().slice(0, 19) + "Z" : "");
  return [show(row.start_s), show(row.end_s)].filter(Boolean).join(" to ");
}

export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
export const camera = (row) => (row.camera === null ? "camera unknown" : `camera ${row.camera}`);
export const spectrum = (modality) => (modality === "ir" ? "infrared" : "visible");
export const tag = (modality) => h(`span.tag.${spectrum(modality)}`, {}, spectrum(modality));
export const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

/** A long name without its middle: what tells tracklets apart is often its end. */
export const short = (name, most = 28) => (name.length <= most ? name : `${name.slice(0, Math.floor(most / 2) - 3)}…${name.slice(-Math.ceil(most / 2) - 2)}`);
export const percent = (p) => (p < 0.001 ? "< 0.1%" : p > 0.999 ? "> 99.9%" : `${(100 * p).toFixed(p < 0.1 || p > 0.9 ? 1 : 0)}%`);

let toldTimer = 0;
/** Say something for a moment; screen readers hear it too. */
export function tell(text, kind = "") {
  const place = document.getElementById("told");
  clearTimeout(toldTimer);
  place.replaceChildren(h(`p.${kind || "note"}`, {}, text));
  toldTimer = setTimeout(() => place.replaceChildren(), kind === "bad" ? 9000 : 4000);
}

/** An error where its answer would have stood. */
export function trouble(error, retry = null) {
  const parts = [error.expected && `Expected ${error.expected}.`, error.got && `Got ${error.got}.`, error.todo];
  return h("div.warn.trouble", { role: "alert" },
    h("p", {}, h("b", {}, error.message || String(error))),
    h("p", {}, parts.filter(Boolean).join(" ")),
    retry && h("button", { type: "button", onclick: retry }, "Try again"));
}

/** A dialog that closes with Escape and gives the focus back. */
export function dialog(title, ...content) {
  const before = document.activeElement;
  const close = () => box.close();
  const box = h("dialog.card", { "aria-label": title },
    h("div.bar", {}, h("h2", {}, title), h("button.plain", { type: "button", onclick: close, "aria-label": "Close" }, "✕")), ...content.flat());
  box.addEventListener("close", () => { box.remove(); before?.focus?.(); });
  box.addEventListener("click", (event) => { if (event.target === box) close(); });
  document.body.append(box);
  box.querySelector(":scope > form :is(input, textarea)")?.setAttribute("autofocus", ""); // not on "Close": who types would close it
  box.showModal();
  return box;
}

/** Ask before something is lost: what it is, and what becomes of it. Resolves to whether it may go. */
export const sure = (title, words, yes) => new Promise((answer) => {
  const end = (said) => { answer(said); box.close(); };
  const box = dialog(title, words.map((one) => h("p", {}, one)),
    h("div.bar", {}, h("button.danger", { type: "button", onclick: () => end(true) }, yes), h("button", { type: "button", autofocus: true, onclick: () => end(false) }, "Keep")));
  box.addEventListener("close", () => answer(false));
});

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
