// When the server is away: a line says so, asks again by itself, and tells the page when it is back.

import { h, tell } from "./dom.js";

const PAUSES_S = [1, 2, 4, 8, 15];
let line = null, timer = 0, tries = 0;

/** @param back called when the server answers again */
export function keepLine(back) {
  document.addEventListener("server-lost", () => { if (!line) lost(back); });
  addEventListener("offline", () => { if (!line) lost(back); });
  addEventListener("online", () => { if (line) again(back); });
}

function lost(back) {
  tries = 0;
  line = h("div.lost", { role: "alert" }, h("b", {}, "The server does not answer."), h("span", {}, " What is shown may be old; nothing that you say is stored until it is back. Trying again by itself. "), h("button", { type: "button", onclick: () => again(back) }, "Try now"));
  document.querySelector("header.top").after(line);
  wait(back);
}

function wait(back) {
  clearTimeout(timer);
  timer = setTimeout(() => again(back), 1000 * PAUSES_S[Math.min(tries++, PAUSES_S.length - 1)]);
}

async function again(back) {
  clearTimeout(timer);
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    if (!answer.ok) throw new Error("not yet");
  } catch {
    wait(back);
    return;
  }
  line?.remove();
  line = null;
  tell("The server is back");
  back();
}
