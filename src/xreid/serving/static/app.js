// The page: who is there, which view is shown and at which address, keys that work everywhere, files dropped anywhere.

import { ask, get, onSignedOut, whoAmI } from "./api.js";
import { CasesView } from "./case.js";
import { keepLine } from "./connection.js";
import { count, dialog, h, tell, trouble } from "./dom.js";
import { FootageView } from "./footage.js";
import { LogView } from "./log.js";
import { renew } from "./renew.js";
import { SearchView } from "./search.js";
import { signInAgain, signInPage } from "./signin.js";
import { WatchView } from "./watch.js";

const place = document.getElementById("view");
const ALERTS_EVERY_MS = 30_000, AWAY_MS = 600_000;
const KEYS = [
  ["← ↑ ↓ →", "go from result to result, along the timeline, through any row of buttons: Tab stops once in each"], ["Home, End", "the first, the last"], ["Enter", "look at a result, or take a tracklet from the list"], ["c", "confirm the result"], ["x", "reject it"],
  ["e", "take it as a further example of the person"], ["s", "search from it alone"], ["w", "why it is a result"], ["m", "the moment in the recording"],
  ["r", "go to the results"], ["t", "go to the timeline; Enter shows the result of a mark"], ["/", "go to the list of tracklets"], ["u", "choose a file to search with"], ["1 – 5", "parts of the page"], ["Esc", "close a dialog"], ["?", "this help"],
];
const world = { role: "viewer", gallery: null, cameras: [], views: {}, shown: null };

world.open = (name) => open(name);
world.resume = async (file) => { show("Search"); await world.views.Search.resume(file); };
world.refresh = async () => {
  const [gallery, cameras] = await Promise.all([get("/gallery"), get("/cameras")]);
  Object.assign(world, { gallery, cameras });
  facts();
  world.views.Search.told(); // what is being worked on stays
};
/** The view shows something else: its address goes into the browser's history, so that Back and Reload work; or in place of the one before. */
world.moved = (instead = false) => {
  const address = `#/${world.shown.toLowerCase()}${world.views[world.shown].address?.() ?? ""}`;
  if (location.hash !== address) history[instead ? "replaceState" : "pushState"](null, "", address);
};

function facts() {
  document.title = `xreid: ${world.gallery.name}`;
  document.getElementById("gallery-name").textContent = world.gallery.name;
  document.getElementById("gallery-count").textContent = count(world.gallery.tracklets, "tracklet");
}

function show(name) {
  if (world.shown !== name) {
    world.views[world.shown]?.leave?.();
    world.shown = name;
    const inside = place.contains(document.activeElement);
    place.replaceChildren(world.views[name].element);
    if (inside) place.focus({ preventScroll: true }); // what had the focus has gone: Tab goes on in the new part
    world.views[name].returns?.();
  }
  for (const tab of document.querySelectorAll("#tabs button")) tab.setAttribute("aria-current", tab.dataset.view === name ? "page" : "false");
}

async function open(name) {
  show(name);
  world.moved();
  await world.views[name].enter?.();
}

/** Show what the address says. */
async function follow() {
  for (const box of document.querySelectorAll("dialog:not(.sign-in-again)")) box.close();
  const [path, query] = location.hash.replace(/^#\//, "").split("?");
  const [word, ...rest] = path.split("/");
  const name = Object.keys(world.views).find((one) => one.toLowerCase() === word) ?? "Search";
  show(name);
  if (world.views[name].arrive) await world.views[name].arrive(new URLSearchParams(query), rest);
  else await world.views[name].enter?.();
}

async function start() {
  try {
    const session = await whoAmI();
    world.role = session.role;
    document.getElementById("who").textContent = session.csrf ? `${session.name}, ${session.role}` : "";
    document.getElementById("sign-out").hidden = !session.csrf;
    onSignedOut(() => signInAgain(session));
    const [gallery, cameras] = await Promise.all([get("/gallery"), get("/cameras")]);
    Object.assign(world, { gallery, cameras });
    facts();
    world.views = { Search: new SearchView(world), Cases: new CasesView(world), Watch: new WatchView(world), Footage: new FootageView(world) };
    if (world.role === "admin") world.views.Log = new LogView(world);
    document.getElementById("tabs").replaceChildren(...Object.keys(world.views).map((name) => h("button.tab", { type: "button", "data-view": name, onclick: () => open(name) }, name)));
    await follow();
    alerts();
  } catch (error) {
    if (error.status === 401) signedOut();
    else place.replaceChildren(h("div.narrow", {}, trouble(error, start)));
  }
}

function signedOut() {
  onSignedOut(null);
  world.views[world.shown]?.leave?.();
  world.shown = null;
  document.getElementById("tabs").replaceChildren();
  document.getElementById("sign-out").hidden = true;
  document.getElementById("who").textContent = "";
  signInPage(place, start);
}

let alertTimer = 0, lastTouch = Date.now(), lastAlert;
for (const what of ["pointerdown", "keydown"]) addEventListener(what, () => { lastTouch = Date.now(); }, { passive: true });
/** How many alerts nobody has answered, on the tab; not asked for while nobody is there, since asking keeps a session open. */
async function alerts() {
  clearTimeout(alertTimer);
  alertTimer = setTimeout(alerts, ALERTS_EVERY_MS);
  if (!world.shown || document.hidden || Date.now() - lastTouch > AWAY_MS) return;
  const open = (await get("/alerts").catch(() => [])).filter((one) => !one.word);
  const tab = document.querySelector("#tabs [data-view=Watch]"), newest = open[0]?.id;
  if (tab) renew(tab, "Watch", open.length ? h("span.count", { "aria-label": `, ${count(open.length, "new alert")}` }, open.length) : "");
  if (world.shown === "Watch" && newest !== lastAlert) world.views.Watch.enter();
  lastAlert = newest;
}
world.alerts = alerts;

/** The server was away and is back: what failed is asked again. */
function back() {
  if (!world.shown) start();
  else (world.views[world.shown].back ?? world.views[world.shown].enter)?.call(world.views[world.shown]);
}

function help() {
  if (document.querySelector("dialog[open]")) return;
  dialog("Keyboard", h("dl.keys", {}, KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])), h("p.soft.small", {}, "Shift and click (or Enter) in the list picks several tracklets of one person."));
}

const head = document.querySelector("header.top"); // as high as its letters: what sticks below it has to know
new ResizeObserver(() => document.documentElement.style.setProperty("--head", `${head.offsetHeight}px`)).observe(head);
document.getElementById("help").addEventListener("click", help);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds what is searched for
  (place.querySelector(".content") ?? place).focus();
});
document.getElementById("sign-out").addEventListener("click", async () => {
  await ask("DELETE", "/session").catch((error) => tell(error.message, "bad"));
  signedOut();
});
document.addEventListener("keydown", (event) => {
  const writes = event.target.matches("input, textarea, select") && !event.target.matches("[type=radio], [type=checkbox]");
  if (writes || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !world.shown) return;
  const names = Object.keys(world.views);
  if (event.key === "?") help();
  else if (/^[1-9]$/.test(event.key) && names[event.key - 1]) open(names[event.key - 1]);
  else if (!world.views[world.shown].key?.(event)) return;
  event.preventDefault();
});
addEventListener("focus", () => { if (world.shown === "Cases" && !world.views.Cases.at) world.views.Cases.enter(); }); // others, and the command line, open cases too
addEventListener("popstate", () => { if (world.shown) follow(); });

const drop = document.getElementById("drop");
const files = (event) => event.dataTransfer?.types.includes("Files") && world.shown === "Search" && world.role !== "viewer" && !document.querySelector("dialog");
document.addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); if (files(event)) drop.hidden = false; });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.hidden = true; });
document.addEventListener("drop", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  drop.hidden = true;
  if (files(event) && event.dataTransfer.files[0]) world.views.Search.upload(event.dataTransfer.files[0]);
});

keepLine(back);
start();
