// Showing again what has changed. Whatever is there already stays the same element: a press that has begun becomes a click,
// the focus stays, typed words stay, and what somebody folded stays folded.

import { hear, real } from "./dom.js";
import { oneStop } from "./rows.js";

const PATIENCE_MS = 3000;

/** Let a place hold these nodes, in this order. Those that stay are not touched: one that is taken out and put back between press and release loses the click. */
export function settle(place, wanted) {
  const stay = new Set(wanted);
  [...place.childNodes].filter((one) => !stay.has(one)).forEach(drop);
  let next = place.firstChild;
  for (const one of wanted) {
    if (one === next) next = next.nextSibling;
    else place.insertBefore(one, next);
  }
}

/**
 * What a place shows from now on, like fill; lines of a list carry a data-key, so that each is known again. What acts on an
 * event takes the element from the event: the one that was made for this may not be the one that is shown.
 */
export function renew(place, ...children) {
  const at = document.activeElement, around = [];
  if (place.contains(at)) for (let one = at; one !== place; one = one.parentElement) around.push(one.parentElement);
  match(place, children.flat(3).filter(real).map((one) => (one instanceof Node ? one : document.createTextNode(one))));
  oneStop(place);
  if (!around.length || document.activeElement === at) return;
  if (at.isConnected) at.focus({ preventScroll: true }); // it has moved
  else near(around.find((one) => one.isConnected));
}

/** What had the focus has gone: one goes on from what was around it. */
function near(place) {
  if (!place.hasAttribute("tabindex")) place.tabIndex = -1;
  place.focus({ preventScroll: true });
}

function match(place, wanted) {
  const kept = new Set(wanted), keyed = new Map(), loose = [];
  for (const one of place.childNodes) {
    if (kept.has(one)) continue;
    if (one.dataset?.key) keyed.set(one.dataset.key, one);
    else loose.push(one);
  }
  const old = (one) => {
    if (one.dataset?.key) return keyed.get(one.dataset.key);
    const i = loose.findIndex((other) => alike(other, one) && other.classList?.[0] === one.classList?.[0]);
    return i < 0 ? null : loose.splice(i, 1)[0];
  };
  settle(place, wanted.map((one) => {
    const before = one.parentNode === place ? null : old(one);
    return before && alike(before, one) ? patch(before, one) : one;
  }));
}

const alike = (a, b) => a.own === b.own && (a.own !== undefined || a.nodeName === b.nodeName);

/** Make an element into what another one is. One with `own` makes its content itself, and stays as it is while that is the same. */
export function patch(old, now) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return old;
  }
  if (old.own !== undefined) {
    if (old !== now) now.ends?.();
    return old;
  }
  attributes(old, now);
  properties(old, now);
  for (const type of Object.keys(old.acts ?? {})) old.acts[type] = undefined;
  for (const [type, act] of Object.entries(now.acts ?? {})) hear(old, type, act);
  match(old, [...now.childNodes]);
  return old;
}

function attributes(old, now) {
  const stays = (name) => (name === "open" && old.nodeName === "DETAILS") || (name === "tabindex" && old === document.activeElement);
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && !stays(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) {
    if (old.getAttribute(name) === value || stays(name)) continue;
    if (name === "style") old.style.cssText = value; // the attribute itself is forbidden by the page's policy
    else old.setAttribute(name, value);
  }
}

/** Values that are drawn as before leave what the user made of them. */
function properties(old, now) {
  const before = old.given ?? {}, given = now.given ?? {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(given)])) {
    if (name === "open" || before[name] === given[name]) continue;
    if (name in given) old[name] = given[name];
    else if (typeof old[name] === "boolean") old[name] = false;
  }
  old.given = now.given;
}

/** Take a node away; what plays in it ends. */
function drop(node) {
  if (node instanceof Element) for (const one of [node, ...node.querySelectorAll(".clip")]) one.ends?.();
  node.remove();
}

let pressed = false;
addEventListener("pointerdown", (event) => { pressed = event.button === 0; }, true);
for (const what of ["pointerup", "pointercancel", "blur"]) addEventListener(what, () => setTimeout(() => { pressed = false; }), true);

/** Resolves when no button of the mouse and no finger is down, or has been for long: nothing moves away from under a press. */
export const released = () => new Promise((done) => {
  if (!pressed) return done();
  for (const what of ["pointerup", "pointercancel"]) addEventListener(what, () => setTimeout(done), { once: true, capture: true });
  return setTimeout(done, PATIENCE_MS);
});
