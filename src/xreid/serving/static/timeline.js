// Where and when: one row per camera, one mark per tracklet, and the way of the person over the confirmed ones.

import { h, isDate, moment, short, span } from "./dom.js";
import { renew } from "./renew.js";
import { row } from "./rows.js";

const WORDS = { query: "searched for", open: "proposed", impossible: "not possible", confirmed: "confirmed", rejected: "rejected" };
const LEAST_GAP_S = 60, GAP = 3; // a pause cut short, and how wide it is drawn, in hundredths
const SVG = "http://www.w3.org/2000/svg";

/** What of a search has a place in time: whom it is for, what it found, what was confirmed before. */
export function marksOf(query, hits, confirmed) {
  const marks = new Map(), put = (row, kind, why = "") => marks.has(row.id) || marks.set(row.id, { row, kind, why });
  for (const row of query) if (!row.uploaded) put(row, "query");
  for (const { tracklet, verdict, transition } of hits) {
    const impossible = transition?.judgement === "impossible";
    put(tracklet, verdict ?? (impossible ? "impossible" : "open"), impossible ? transition.why : "");
  }
  for (const row of confirmed) put(row, "confirmed");
  return [...marks.values()];
}

/** The timeline of a search, in a fold; go is called with the row of a mark. */
export class TimelineBox {
  constructor(go) {
    this.go = go;
    this.inside = h("div", {});
    this.element = h("details.card.when", { open: true }, h("summary", {}, "Where and when"), this.inside);
  }

  show(marks) {
    renew(this.inside, timeline(marks, this.go));
  }

  focus() {
    this.element.open = true;
    this.inside.querySelector("button[tabindex='0']")?.focus();
  }
}

/** @param marks [{row, kind: "query"|"confirmed"|"rejected"|"impossible"|"open", why}]; go is called with a row */
export function timeline(marks, go) {
  const timed = marks.filter((mark) => mark.row.start_s !== null);
  if (!timed.length) return h("p.soft.small", {}, marks.length ? "These tracklets have no times." : "Nothing to show yet.");
  const dated = timed.some((mark) => isDate(mark.row.start_s));
  const used = timed.filter((mark) => isDate(mark.row.start_s) === dated);
  const axis = axisOf(used), { at } = axis;
  const name = (mark) => mark.row.camera ?? "?";
  const cameras = [...new Set(used.map(name))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const line = (camera) => h("div.lane", { "data-key": camera }, h("span.lane-name", { title: camera }, camera === "?" ? "unknown" : short(camera, 13)), h("div.lane-track", {},
    used.filter((mark) => name(mark) === camera).sort((a, b) => a.row.start_s - b.row.start_s).map((mark) => blip(mark, at, camera, go))));
  const left = marks.length - used.length, there = (kind) => used.some((mark) => mark.kind === kind);
  return h("div.timeline", {}, h("div.lanes-box", { role: "toolbar", "aria-label": "Timeline, a row for each camera", ...row(".blip") }, cameras.map(line), h("div.gaps", { "aria-hidden": "true" }, axis.gaps.map(([from, to]) => h("i.gap", { style: { left: `${from}%`, width: `${to - from}%` } }))), way(used, cameras, at, name)), ticks(axis, dated),
    h("p.key.small.soft", {}, dated && h("b", {}, moment(axis.parts[0].from).slice(0, 10)), ["query", "confirmed", "open", "rejected", "impossible"].filter((kind) => kind !== "impossible" || there(kind)).map((kind) => h("span", {}, h(`i.blip.is-${kind}`), WORDS[kind])), left ? h("span", {}, `${left} without a time`) : ""));
}

function blip(mark, at, camera, go) {
  const left = at(mark.row.start_s), width = at(mark.row.end_s ?? mark.row.start_s) - left;
  const said = [WORDS[mark.kind], span(mark.row), mark.why].filter(Boolean).join(", ");
  return h(`button.blip.is-${mark.kind}`, { type: "button", "data-key": mark.row.id, title: `${mark.row.name}: ${said}`, "aria-label": `${mark.row.name}, camera ${camera}, ${said}`, onclick: () => go(mark.row), style: { left: `${Math.min(left, 99)}%`, width: `max(11px, ${width}%)` } });
}

/** The way over what was searched for and confirmed, in order of time. */
function way(used, cameras, at, name) {
  const stops = used.filter((mark) => mark.kind === "query" || mark.kind === "confirmed").sort((a, b) => a.row.start_s - b.row.start_s);
  if (stops.length < 2) return "";
  const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "polyline");
  svg.setAttribute("viewBox", `0 0 100 ${cameras.length}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "way-line");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("points", stops.flatMap((mark) => { const y = cameras.indexOf(name(mark)) + 0.5; return [`${at(mark.row.start_s)},${y}`, `${at(mark.row.end_s ?? mark.row.start_s)},${y}`]; }).join(" "));
  path.setAttribute("vector-effect", "non-scaling-stroke");
  svg.append(path);
  return svg;
}

/** Where moments lie, 0 to 100: hours in which nobody was seen are cut short, so that what lies close is apart. */
function axisOf(used) {
  const spans = used.map(({ row }) => [row.start_s, Math.max(row.end_s ?? row.start_s, row.start_s + 1)]).sort((a, b) => a[0] - b[0]);
  const parts = [];
  const most = Math.max(LEAST_GAP_S, 0.12 * (Math.max(...spans.map((one) => one[1])) - spans[0][0]));
  for (const [from, to] of spans) {
    const last = parts.at(-1);
    if (last && from - last.to <= most) last.to = Math.max(last.to, to);
    else parts.push({ from, to });
  }
  const room = 100 - GAP * (parts.length - 1), seconds = parts.reduce((sum, one) => sum + one.to - one.from, 0);
  let left = 0;
  for (const part of parts) { // half of the room by time, half in equal shares: a short part stays readable
    part.left = left;
    part.width = room * (0.5 * (part.to - part.from) / seconds + 0.5 / parts.length);
    left += part.width + GAP;
  }
  const at = (moment_s) => { const part = parts.find((one) => moment_s <= one.to) ?? parts.at(-1); return part.left + part.width * Math.max(0, moment_s - part.from) / (part.to - part.from); };
  return { at, parts, gaps: parts.slice(1).map((one) => [one.left - GAP, one.left]) };
}

/** The beginning of each part, in the operator's time; the day where there are several. */
function ticks({ parts }, dated) {
  const several = dated && moment(parts[0].from).slice(0, 10) !== moment(parts.at(-1).to).slice(0, 10);
  return h("div.ends.soft.small", {}, parts.map((part) => {
    const text = moment(part.from);
    return h("span", { title: text, style: { left: `${part.left}%`, "max-width": `${part.width + GAP - 1}%` } }, !dated ? text : several ? text.slice(5, 16) : text.slice(11));
  }));
}
