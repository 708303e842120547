// Moving pictures of tracklets: they play while they are seen, and stand still for those who want that.
// A list may hold a thousand of them, and a browser plays some dozens: a clip is there only while it is in view.

import { clipOf, frameOf } from "./api.js";
import { h, still } from "./dom.js";

const PATIENCE_MS = 250; // whoever scrolls through a long list asks for no clips

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    clearTimeout(target.timer);
    if (!isIntersecting) halt(target);
    else if (!still()) target.timer = setTimeout(() => play(target), PATIENCE_MS);
  }
}, { rootMargin: "80px" });

/** A tracklet's frame; a word where it cannot be had. */
export function picture(row, height = 160) {
  return frame(frameOf(row, height), "");
}

/** A picture at an address; a word where it cannot be had. */
export function frame(address, alt, kind = "img.pic") {
  const image = h(kind, { src: address, alt, loading: "lazy", decoding: "async" });
  image.own = address;
  image.addEventListener("error", () => image.replaceWith(Object.assign(h("div.pic.none", { role: alt ? "img" : null, "aria-label": alt || null }, "no picture"), { own: address })), { once: true });
  return image;
}

/** A tracklet as a moving clip: a picture, and over it the video while it is looked at. */
export function clip(row, { controls = false } = {}) {
  const place = h("div.clip", {}, picture(row, 256));
  Object.assign(place, { row, controls, own: `${clipOf(row)} ${controls}`, ends: () => end(place) });
  if (controls) play(place);
  else {
    seen.observe(place);
    place.addEventListener("mouseenter", () => play(place)); // asked for by hand, so also by those who want stillness
  }
  return place;
}

function play(place) {
  if (place.querySelector("video")) return;
  const { row, controls } = place;
  const video = h("video.pic", { muted: true, loop: true, playsInline: true, preload: "auto", src: clipOf(row), controls, "aria-label": `${row.name}, moving`, tabindex: controls ? null : "-1", style: { visibility: "hidden" } });
  video.addEventListener("loadeddata", () => { video.style.visibility = ""; }, { once: true });
  video.addEventListener("error", () => video.remove(), { once: true }); // the picture stays
  place.append(video);
  if (!controls || !still()) video.play().catch(() => {}); // a browser may refuse; the picture stays
}

function halt(place) {
  const video = place.querySelector("video");
  if (!video) return;
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.remove();
}

/** Stop what plays in a place that leaves the page. */
export function quiet(place) {
  for (const one of place.querySelectorAll(".clip")) one.ends();
}

function end(place) {
  seen.unobserve(place);
  clearTimeout(place.timer);
  halt(place);
}

/** The same, and empty the place. */
export function release(place) {
  quiet(place);
  place.replaceChildren();
}
