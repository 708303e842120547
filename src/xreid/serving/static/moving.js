// Moving pictures of tracklets: they play while they are seen, and stand still for those who want that.

import { clipOf, frameOf } from "./api.js";
import { h, still } from "./dom.js";

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) target.pause();
    else if (!still() && !target.error) target.play().catch(() => {}); // a browser may refuse; the picture stays
  }
}, { rootMargin: "80px" });

/** A tracklet's frame; a word where it cannot be had. */
export function picture(row, height = 160) {
  const image = h("img.pic", { src: frameOf(row, height), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("div.pic.none", {}, "no picture")), { once: true });
  return image;
}

/** A tracklet as a moving clip. */
export function clip(row, { controls = false } = {}) {
  const name = `${row.name}, moving`;
  const video = h("video.pic", { muted: true, loop: true, playsInline: true, preload: controls ? "auto" : "none", poster: frameOf(row, 256), src: clipOf(row), controls, "aria-label": name, tabindex: controls ? null : "-1" });
  video.addEventListener("error", () => video.replaceWith(picture(row, 256)), { once: true });
  if (!controls) seen.observe(video);
  else if (!still()) video.autoplay = true;
  video.addEventListener("mouseenter", () => video.play().catch(() => {}));
  return video;
}

/** Stop watching what leaves the page. */
export function release(place) {
  for (const video of place.querySelectorAll("video")) {
    seen.unobserve(video);
    video.pause();
    video.removeAttribute("src");
    video.load();
  }
  place.replaceChildren();
}
