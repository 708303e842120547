// The moment in the recording: the whole frame with a box around the person, the file and the time in it.

import { get, partOf } from "./api.js";
import { fill, h, moment, still, trouble, utc } from "./dom.js";

const SECONDS = 8;
const clock = (s) => `${Math.floor(s / 3600) ? `${Math.floor(s / 3600)}:` : ""}${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}:${(s % 60).toFixed(1).padStart(4, "0")}`;

/** @param may whether the person may see whole frames: others are in them */
export function momentBox(row, may) {
  const place = h("div.moment", {}, h("p.soft.small", { role: "status" }, "Looking for it …"));
  let turn = 0; // whoever moves on asks for the last moment only
  const load = async (number = null) => {
    const mine = (turn += 1);
    try {
      const found = await get(`/tracklets/${row.id}/moment${number === null ? "" : `?frame=${number}`}`);
      if (mine !== turn) return;
      const at = place.contains(document.activeElement) && document.activeElement.dataset.keep;
      fill(place, ...shown(row, found, may, load));
      if (at) place.querySelector(`[data-keep="${at}"]`)?.focus();
    } catch (error) {
      if (mine !== turn) return;
      if (error.status === 404) fill(place, h("p.soft.small", {}, "Nobody wrote down where these frames were cut from. It is known for tracklets that `xreid ingest` made."));
      else fill(place, trouble(error, () => load(number)));
    }
  };
  load();
  return place;
}

function shown(row, found, may, load) {
  const at = `frame=${found.tracklet_frame ?? 0}`, stage = h("div.moment-stage", {});
  const picture = () => {
    const image = h("img", { src: partOf(row, `moment.jpg?${at}&height=720`), alt: `The whole picture of ${found.file} with a box around the person` });
    image.addEventListener("error", () => fill(stage, h("p.soft", {}, "The picture cannot be had. Was the recording moved?")), { once: true });
    fill(stage, image);
  };
  const film = () => {
    const video = h("video", { controls: true, muted: true, loop: true, playsInline: true, autoplay: !still(), src: partOf(row, `moment.mp4?${at}&seconds=${SECONDS}`), "aria-label": `${SECONDS} seconds of ${found.file} around the moment` });
    video.addEventListener("error", () => { fill(stage, h("p.soft", {}, "These seconds cannot be played. ", h("button.plain", { type: "button", onclick: picture }, "Show the picture"))); }, { once: true });
    fill(stage, video);
  };
  const can = found.shown && may;
  if (can) picture();
  const slider = row.frames > 1 && h("input", { type: "range", "data-keep": "frame", min: 0, max: row.frames - 1, step: 1, value: found.tracklet_frame ?? 0, "aria-label": "Frame of the tracklet", onchange: (event) => load(Number(event.target.value)) });
  return [
    can ? stage : h("p.soft.small", {}, found.shown ? "Whole frames, with whoever else is in them, need the role operator." : found.why_not),
    can && h("div.bar", {}, h("button", { type: "button", onclick: film }, `Play ${SECONDS} seconds`), h("button.plain", { type: "button", onclick: picture }, "Picture"), slider && h("label.bar.soft.small", {}, "frame ", slider)),
    h("dl.facts", {}, [
      ["recording", found.file.split("/").at(-1)], ["kept at", found.file.includes("/") && h("span.small", {}, found.file)], ["in it at", found.offset_s === null ? null : `${clock(found.offset_s)} (frame ${found.frame})`], ["time", moment(found.time_s)], ["UTC", utc({ start_s: found.time_s, end_s: null })],
      ["in the picture", found.from_s === null || found.to_s === null ? null : `${clock(found.from_s)} – ${clock(found.to_s)}`], ["camera", found.camera],
      ["joined from", found.tracks.length > 1 && joined(found.tracks, load)],
    ].filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  ];
}

/** The tracks that a tracklet was put together from; their ends are buttons that show what was taken for one person. */
function joined(tracks, load) {
  const when = (number, seconds) => (number ? moment(seconds).split(" ").at(-1) : moment(seconds)); // the day once
  const end = (number, frame, seconds) => (frame === null ? when(number, seconds) : h("button.link", { type: "button", "data-keep": `end-${number}`, title: "Show this frame", onclick: () => load(frame) }, when(number, seconds)));
  return [h("div", {}, `${tracks.length} tracks`), tracks.map((one, i) => h("div.small", {}, end(2 * i, one.first, one.from_s), " – ", end(2 * i + 1, one.last, one.to_s), one.cosine !== null && h("span.soft", {}, ` cosine ${one.cosine.toFixed(2)} with the one before`)))];
}
