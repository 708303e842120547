// A picture or a clip of the person: sent, shown, a box drawn around the person, and made into a query.

import { post, send } from "./api.js";
import { dialog, fill, h, tell, trouble } from "./dom.js";

/** Ask for what a dropped or chosen file shows; `made` is called with the query. */
export function fromFile(file, gallery, made) {
  const body = h("div.upload", {});
  const box = dialog("Search with a file", body);
  if (!gallery.uploads) {
    body.append(h("p", {}, "This server was started without the network that embedded the gallery, so it cannot search for new pictures."), h("p.soft", {}, "Whoever runs it can start it with --checkpoint RUN."));
    return;
  }
  if (file.size > gallery.upload_bytes) {
    body.append(trouble({ message: "The file is too large.", expected: `${Math.round(gallery.upload_bytes / 2 ** 20)} MiB or less`, got: `${Math.round(file.size / 2 ** 20)} MiB` }));
    return;
  }
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Sent" });
  body.append(h("p", {}, `Sending ${file.name} …`), bar);
  send(file, (share) => { bar.value = share; })
    .then((upload) => { if (box.isConnected) fill(body, ...draw(upload, (query) => { box.close(); made(query); })); })
    .catch((error) => fill(body, trouble(error)));
}

function draw(upload, made) {
  const state = { box: null, at: upload.what === "video" ? upload.seconds / 2 : 0 };
  const image = h("img", { alt: "The picture sent; draw a box around the person", draggable: "false" });
  const mark = h("div.mark-box", { hidden: true });
  const stage = h("div.stage", {}, image, mark);
  const show = () => { image.src = `/api/v1/uploads/${upload.id}/picture?height=720&at_s=${state.at.toFixed(2)}`; };
  image.addEventListener("error", () => tell("That moment of the video cannot be shown", "bad"));
  show();
  const numbers = ["left", "top", "right", "bottom"].map((name, i) => h("label.time", {}, name, h("input", { type: "number", min: 0, max: 100, step: 1, value: i < 2 ? 0 : 100, oninput: () => typed() })));
  const inputs = numbers.map((label) => label.querySelector("input"));
  const set = (box) => {
    state.box = box;
    mark.hidden = box === null;
    if (box) ["left", "top"].forEach((side, i) => { mark.style.setProperty(side, `${100 * box[i]}%`); mark.style.setProperty(i ? "height" : "width", `${100 * (box[i + 2] - box[i])}%`); });
    (box ?? [0, 0, 1, 1]).forEach((value, i) => { if (document.activeElement !== inputs[i]) inputs[i].value = Math.round(100 * value); });
  };
  const typed = () => { const v = inputs.map((input) => Math.min(1, Math.max(0, Number(input.value) / 100))); if (v[0] < v[2] && v[1] < v[3]) set(v); };
  drawing(stage, set);
  const modality = h("select", {}, h("option", { value: "auto" }, `as its colours say (${upload.likely === "ir" ? "infrared" : "visible"})`), h("option", { value: "vis" }, "visible"), h("option", { value: "ir" }, "infrared"));
  const go = h("button.main", { type: "button" }, "Search for this person");
  const failed = h("div", {});
  const range = upload.what === "video" ? stretch(upload, state, show) : null;
  go.addEventListener("click", async () => {
    go.disabled = true;
    go.textContent = "Looking at the pictures …";
    fill(failed);
    try {
      const cut = { upload: upload.id, box: state.box, ...(range ? range.value() : {}) };
      made(await post("/queries", { cuts: [cut], modality: modality.value, name: upload.name }));
    } catch (error) {
      failed.append(trouble(error));
      go.disabled = false;
      go.textContent = "Search for this person";
    }
  });
  return [
    h("p.soft", {}, "Drag a box around the person, closely. Without a box the whole picture is taken."),
    stage, range?.element,
    h("details", {}, h("summary", {}, "The box in numbers (% of the picture)"), h("div.times.four", {}, numbers)),
    h("div.times", {}, h("label.time", {}, "modality", modality)), failed, h("div.bar", {}, go),
  ].filter(Boolean);
}

/** Which stretch of a video: the box stays where it is, so a short one in which the person hardly moves. */
function stretch(upload, state, show) {
  const half = Math.min(0.5, upload.seconds / 2), step = Math.max(0.04, upload.seconds / 500);
  const slider = h("input", { type: "range", min: 0, max: Math.max(0, upload.seconds - 0.04), step, value: state.at, "aria-label": "Moment of the video, seconds" });
  const length = h("input", { type: "number", min: 0.1, max: 120, step: 0.1, value: (2 * half).toFixed(1) });
  const said = h("output.soft.small", {}, `${state.at.toFixed(1)} s`);
  let timer = 0;
  slider.addEventListener("input", () => {
    state.at = Number(slider.value);
    said.textContent = `${state.at.toFixed(1)} s`;
    clearTimeout(timer);
    timer = setTimeout(show, 200);
  });
  return {
    element: h("div.stretch", {}, h("label", {}, "moment ", slider, said), h("label.time", {}, "seconds around it", length)),
    value: () => { const around = Number(length.value) / 2; return { from_s: Math.max(0, state.at - around), to_s: Math.min(upload.seconds, state.at + around) }; },
  };
}

function drawing(stage, set) {
  let from = null;
  const at = (event) => { const r = stage.getBoundingClientRect(); return [Math.min(1, Math.max(0, (event.clientX - r.left) / r.width)), Math.min(1, Math.max(0, (event.clientY - r.top) / r.height))]; };
  stage.addEventListener("pointerdown", (event) => { from = at(event); stage.setPointerCapture(event.pointerId); event.preventDefault(); });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event), box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
    if (box[2] - box[0] > 0.01 && box[3] - box[1] > 0.01) set(box);
  });
  stage.addEventListener("pointerup", () => { from = null; });
}
