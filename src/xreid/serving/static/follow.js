// The moment of a clip and the seconds around it; a drawn box is followed from there as far as it can be.

import { post } from "./api.js";
import { h } from "./dom.js";

const PAUSE_MS = 400; // whoever still draws asks for nothing
const MOST_CUTS = 16; // pictures that the server takes

/** Some of many, evenly spread. */
const spread = (all, most) => (all.length <= most ? all : Array.from({ length: most }, (_, i) => all[Math.floor(((i + 0.5) * all.length) / most)]));

/** @param state {box, at, drawnAt}; show() a new moment's picture; place(box) without drawing it */
export function follower(upload, state, { show, place, stop }) {
  const last = Math.max(0, upload.seconds - 0.04), step = Math.max(0.04, upload.seconds / 500);
  const slider = h("input", { type: "range", min: 0, max: last, step, value: state.at, "aria-label": "Moment of the video, seconds" });
  const length = h("input", { type: "number", min: 0.1, max: 120, step: 0.1, value: Math.min(4, upload.seconds).toFixed(1) });
  const follow = h("input", { type: "checkbox", checked: true });
  const where = h("output.soft.small", {}, `${state.at.toFixed(1)} s`), said = h("p.small", { role: "status" });
  let track = [], timers = [0, 0], turn = 0;

  const stretch = () => { const around = Number(length.value) / 2, middle = state.box && follow.checked ? state.drawnAt : state.at; return { from_s: Math.max(0, middle - around), to_s: Math.min(upload.seconds, middle + around) }; };
  const nearest = () => track.reduce((best, one) => (Math.abs(one.at_s - state.at) < Math.abs((best?.at_s ?? Infinity) - state.at) ? one : best), null);
  const scrub = () => {
    const near = nearest();
    if (track.length) place(near && Math.abs(near.at_s - state.at) < 0.15 ? near.box : null);
  };
  const begin = () => {
    clearTimeout(timers[1]);
    turn += 1;
    track = [];
    if (!follow.checked || !state.box) { said.textContent = ""; return; }
    said.textContent = "Following the person …";
    timers[1] = setTimeout(() => run(turn), PAUSE_MS);
  };
  const run = async (mine) => {
    try {
      const { boxes } = await post(`/uploads/${upload.id}/follow`, { at_s: state.drawnAt, box: state.box, ...stretch() }, { signal: stop });
      if (mine !== turn) return;
      track = boxes;
      const wanted = stretch(), first = boxes[0]?.at_s ?? state.drawnAt, end = boxes.at(-1)?.at_s ?? state.drawnAt;
      const lost = first > wanted.from_s + 0.3 || end < wanted.to_s - 0.3;
      said.textContent = boxes.length > 1 ? `The box follows the person from ${first.toFixed(1)} to ${end.toFixed(1)} s${lost ? "; beyond that the person was lost" : ""}. Move the moment to check it.` : "The person could not be followed: only this one picture is searched with. Try a moment with more of the person, or a closer box.";
    } catch (error) {
      if (error.name !== "AbortError" && mine === turn) said.textContent = `Not followed: ${error.message}`;
    }
  };
  slider.addEventListener("input", () => {
    state.at = Number(slider.value);
    where.textContent = `${state.at.toFixed(1)} s`;
    scrub();
    clearTimeout(timers[0]);
    timers[0] = setTimeout(show, 200);
  });
  length.addEventListener("change", begin);
  follow.addEventListener("change", () => { length.value = Math.min(follow.checked ? 4 : 1, upload.seconds).toFixed(1); begin(); }); // a box that stays fits for a moment only
  return {
    element: h("div.stretch", {}, h("label", {}, "moment ", slider, where), h("label.time", {}, "seconds around it", length), h("label.radio", {}, follow, " follow the person"), said),
    drawn: begin,
    /** What of the clip is searched with: the box where it was followed to, or where it was drawn. */
    cuts: () => (state.box && follow.checked && track.length
      ? spread(track, MOST_CUTS).map((one) => ({ upload: upload.id, box: one.box, from_s: one.at_s, to_s: one.at_s }))
      : [{ upload: upload.id, box: state.box, ...(state.box && follow.checked ? { from_s: state.drawnAt, to_s: state.drawnAt } : stretch()) }]),
  };
}
