// The page: who is there, which view is shown, keys that work everywhere, files dropped anywhere.

import { ask, get, signIn, whoAmI } from "./api.js";
import { CasesView } from "./case.js";
import { count, dialog, h, tell, trouble } from "./dom.js";
import { FootageView } from "./footage.js";
import { LogView } from "./log.js";
import { SearchView } from "./search.js";
import { WatchView } from "./watch.js";

const place = document.getElementById("view");
const KEYS = [
  ["← ↑ ↓ →", "go from result to result"], ["Enter", "look at a result, or take a tracklet from the list"], ["c", "confirm the result"], ["x", "reject it"],
  ["s", "search from it"], ["r", "go to the results"], ["/", "go to the list of tracklets"], ["u", "choose a file to search with"], ["1 – 5", "parts of the page"], ["Esc", "close a dialog"], ["?", "this help"],
];
const world = { role: "viewer", gallery: null, cameras: [], views: {}, shown: null };

world.resume = async (file) => { show("Search"); await world.views.Search.resume(file); };
world.refresh = async () => {
  const [gallery, cameras] = await Promise.all([get("/gallery"), get("/cameras")]);
  Object.assign(world, { gallery, cameras });
  facts();
  if (world.views.Search.query.length) world.views.Search.list.load(world.views.Search.filters); // what is being worked on stays
  else world.views.Search = new SearchView(world);
  if (world.shown === "Search") show("Search");
};

function facts() {
  document.title = `xreid: ${world.gallery.name}`;
  document.getElementById("gallery-name").textContent = world.gallery.name;
  document.getElementById("gallery-count").textContent = count(world.gallery.tracklets, "tracklet");
}

function show(name) {
  world.views[world.shown]?.leave?.();
  world.shown = name;
  place.replaceChildren(world.views[name].element);
  world.views[name].enter?.();
  for (const tab of document.querySelectorAll("#tabs button")) tab.setAttribute("aria-current", tab.textContent === name ? "page" : "false");
}

async function start() {
  try {
    const session = await whoAmI();
    world.role = session.role;
    document.getElementById("who").textContent = session.csrf ? `${session.name}, ${session.role}` : "";
    document.getElementById("sign-out").hidden = !session.csrf;
    const [gallery, cameras] = await Promise.all([get("/gallery"), get("/cameras")]);
    Object.assign(world, { gallery, cameras });
    facts();
    world.views = { Search: new SearchView(world), Cases: new CasesView(world), Watch: new WatchView(world), Footage: new FootageView(world) };
    if (world.role === "admin") world.views.Log = new LogView(world);
    document.getElementById("tabs").replaceChildren(...Object.keys(world.views).map((name) => h("button.tab", { type: "button", onclick: () => show(name) }, name)));
    show("Search");
  } catch (error) {
    if (error.status !== 401) place.replaceChildren(h("div.narrow", {}, trouble(error, start)));
  }
}

function askForToken() {
  if (document.getElementById("token")) return;
  world.views[world.shown]?.leave?.();
  world.shown = null;
  for (const box of document.querySelectorAll("dialog")) box.close();
  document.getElementById("tabs").replaceChildren();
  document.getElementById("sign-out").hidden = true;
  document.getElementById("who").textContent = "";
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "token-said" });
  const said = h("p.bad", { id: "token-said", role: "alert" });
  const form = h("form.card.sign-in", { onsubmit: async (event) => {
    event.preventDefault();
    try {
      await signIn(field.value.trim());
      form.remove();
      await start();
    } catch (error) {
      said.textContent = [error.message, error.todo].filter(Boolean).join(". ");
      field.select();
    }
  } }, h("h1", {}, "Sign in"), h("label.time", { for: "token" }, "your token", field), said, h("div.bar", {}, h("button.main", {}, "Sign in")));
  place.replaceChildren(form);
  field.focus();
}

function help() {
  if (document.querySelector("dialog")) return;
  dialog("Keyboard", h("dl.keys", {}, KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])), h("p.soft.small", {}, "Shift and click (or Enter) in the list picks several tracklets of one person."));
}

document.addEventListener("signed-out", askForToken);
document.getElementById("help").addEventListener("click", help);
document.getElementById("sign-out").addEventListener("click", async () => {
  await ask("DELETE", "/session").catch((error) => tell(error.message, "bad"));
  askForToken();
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog") || !world.shown) return;
  const names = Object.keys(world.views);
  if (event.key === "?") help();
  else if (/^[1-9]$/.test(event.key) && names[event.key - 1]) show(names[event.key - 1]);
  else if (!world.views[world.shown].key?.(event)) return;
  event.preventDefault();
});

const drop = document.getElementById("drop");
const files = (event) => event.dataTransfer?.types.includes("Files") && world.shown === "Search" && world.role !== "viewer";
document.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); if (files(event)) drop.hidden = false; });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.hidden = true; });
document.addEventListener("drop", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  drop.hidden = true;
  if (files(event) && event.dataTransfer.files[0]) world.views.Search.upload(event.dataTransfer.files[0]);
});

start();
