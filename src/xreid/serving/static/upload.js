// A picture or a clip of the person: sent, shown, a box drawn around the person, followed through the clip, and made into a query.

import { ask, post, send } from "./api.js";
import { dialog, fill, h, tell, trouble } from "./dom.js";
import { follower } from "./follow.js";

/** Ask for what a dropped or chosen file shows; made is called with the query and whether it joins the others. */
export function fromFile(file, gallery, { more, made }) {
  const body = h("div.upload", {}), stop = new AbortController();
  const box = dialog("Search with a file", body);
  box.addEventListener("close", () => stop.abort(), { once: true });
  if (!gallery.uploads) {
    body.append(h("p", {}, "This server was started without the network that embedded the gallery, so it cannot search for new pictures."), h("p.soft", {}, "Whoever runs it can start it with --checkpoint RUN."));
    return;
  }
  if (file.size > gallery.upload_bytes) {
    body.append(trouble({ message: "The file is too large.", expected: `${mib(gallery.upload_bytes)} or less`, got: mib(file.size), todo: "Cut the clip to the seconds that show the person." }));
    return;
  }
  if (!file.size) {
    body.append(trouble({ message: "The file is empty." }));
    return;
  }
  const begin = () => {
    const bar = h("progress", { max: 1, value: 0, "aria-label": "Sent" }), said = h("p", { role: "status" }, `Sending ${file.name} (${mib(file.size)}) …`);
    fill(body, said, bar, h("div.bar", {}, h("button", { type: "button", onclick: () => box.close() }, "Cancel")));
    const told = (share) => { bar.value = share; if (share >= 1) { said.textContent = "Sent. The server looks at it …"; bar.removeAttribute("value"); } };
    send(file, told, stop.signal)
      .then((upload) => {
        if (stop.signal.aborted) return ask("DELETE", `/uploads/${upload.id}`).catch(() => {}); // it is nobody's any more
        return fill(body, ...draw(upload, { more, stop: stop.signal, cancel: () => box.close(), made: (query, together) => { box.close(); made(query, together); } }));
      })
      .catch((error) => { if (error.name !== "AbortError") fill(body, trouble(error, error.status === 0 ? begin : null)); });
  };
  begin();
}

const mib = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(bytes < 1e8 ? 1 : 0)} MiB`);

function draw(upload, { more, stop, cancel, made }) {
  const video = upload.what === "video";
  const state = { box: null, at: video ? upload.seconds / 2 : 0, drawnAt: 0 };
  const image = h("img", { alt: "The picture sent; draw a box around the person", draggable: "false" });
  const mark = h("div.mark-box", { hidden: true });
  const stage = h("div.stage", {}, image, mark);
  const show = () => { image.src = `/api/v1/uploads/${upload.id}/picture?height=720&at_s=${state.at.toFixed(2)}`; };
  image.addEventListener("error", () => tell("That moment of the video cannot be shown", "bad"));
  show();
  const numbers = ["left", "top", "right", "bottom"].map((name, i) => h("label.time", {}, name, h("input", { type: "number", min: 0, max: 100, step: 1, value: i < 2 ? 0 : 100, oninput: () => typed() })));
  const inputs = numbers.map((label) => label.querySelector("input"));
  const place = (box) => {
    mark.hidden = box === null;
    if (box) ["left", "top"].forEach((side, i) => { mark.style.setProperty(side, `${100 * box[i]}%`); mark.style.setProperty(i ? "height" : "width", `${100 * (box[i + 2] - box[i])}%`); });
    (box ?? [0, 0, 1, 1]).forEach((value, i) => { if (document.activeElement !== inputs[i]) inputs[i].value = Math.round(100 * value); });
  };
  const range = video ? follower(upload, state, { show, place, stop }) : null;
  const set = (box) => { Object.assign(state, { box, drawnAt: state.at }); place(box); range?.drawn(); };
  const typed = () => { const v = inputs.map((input) => Math.min(1, Math.max(0, Number(input.value) / 100))); if (v[0] < v[2] && v[1] < v[3]) set(v); };
  drawing(stage, set);
  const modality = h("select", {}, h("option", { value: "auto" }, `as its colours say (${upload.likely === "ir" ? "infrared" : "visible"})`), h("option", { value: "vis" }, "visible"), h("option", { value: "ir" }, "infrared"));
  const failed = h("div", {}), buttons = [];
  const button = (text, together, kind) => { const one = h(kind, { type: "button", onclick: () => go(one, together) }, text); buttons.push(one); return one; };
  const go = async (pressed, together) => {
    const text = pressed.textContent;
    for (const one of buttons) one.disabled = true;
    pressed.textContent = "Looking at the pictures …";
    fill(failed);
    try {
      const cuts = range ? range.cuts() : [{ upload: upload.id, box: state.box }];
      made(await post("/queries", { cuts, modality: modality.value, name: upload.name.slice(0, 80) }, { signal: stop }), together);
    } catch (error) {
      if (error.name === "AbortError") return;
      failed.append(trouble(error));
      for (const one of buttons) one.disabled = false;
      pressed.textContent = text;
    }
  };
  return [
    h("p.soft", {}, video ? "Choose the moment, then drag a box around the person, closely. Without a box the whole picture is taken." : "Drag a box around the person, closely. Without a box the whole picture is taken."),
    stage, range?.element,
    h("details", {}, h("summary", {}, "The box in numbers (% of the picture)"), h("div.times.four", {}, numbers)),
    h("div.times", {}, h("label.time", {}, "modality", modality)), failed,
    h("div.bar", {}, button("Search for this person", false, "button.main"), more && button("Add to what is searched for", true, "button"), h("button.plain", { type: "button", onclick: cancel }, "Cancel")),
  ].filter(Boolean);
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
  stage.addEventListener("pointercancel", () => { from = null; });
}
