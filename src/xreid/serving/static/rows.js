// Long rows of controls: Tab stops once in a row, where somebody was last, and arrow keys go on from there.

const INNER = "button, a, input, select, textarea, [tabindex]";
const last = new WeakMap(); // row -> the key of what had the focus in it

/** What makes an element such a row; of each item that is no control itself, the controls go with it. */
export const row = (items) => ({ "data-row": items, onfocusin: entered, onkeydown: key });

/** Each row in a place stops Tab once; called whenever rows were made or drawn again. */
export function oneStop(place) {
  for (const one of [...(place.matches("[data-row]") ? [place] : []), ...place.querySelectorAll("[data-row]")]) {
    const items = itemsOf(one), at = items.find((item) => item.contains(document.activeElement)) ?? items.find((item) => item.dataset.key && item.dataset.key === last.get(one)) ?? items[0];
    for (const item of items) stop(item, item === at);
  }
}

const itemsOf = (place) => [...place.querySelectorAll(place.dataset.row)];

/** Whether Tab stops at an item, and at the controls in it. */
export function stop(item, here) {
  item.tabIndex = here ? 0 : -1;
  for (const one of item.querySelectorAll(INNER)) if (!one.matches("video")) one.tabIndex = here ? 0 : -1;
}

function entered({ currentTarget: place, target }) {
  const here = itemsOf(place).find((item) => item.contains(target));
  if (!here) return;
  last.set(place, here.dataset.key);
  for (const item of itemsOf(place)) if (item === here || item.tabIndex === 0) stop(item, item === here);
}

function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const items = itemsOf(event.currentTarget), i = items.findIndex((item) => item.contains(event.target));
  const along = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: items.length - 1 }, across = event.key === "ArrowDown" || event.key === "ArrowUp";
  if (i < 0 || !(across || event.key in along)) return;
  (across ? beyond(items, items[i], event.key === "ArrowDown") : items[along[event.key]])?.focus();
  event.preventDefault();
  event.stopPropagation();
}

/** The nearest item in the next line below, or above. */
function beyond(items, from, below) {
  const box = (item) => item.getBoundingClientRect(), here = box(from);
  const others = items.map((item) => [item, box(item)]).filter(([, one]) => (below ? one.top > here.top + 1 : one.top < here.top - 1));
  const line = others.reduce((best, [, one]) => (below ? Math.min(best, one.top) : Math.max(best, one.top)), below ? Infinity : -Infinity);
  const far = ([, one]) => Math.abs(one.left + one.width / 2 - here.left - here.width / 2);
  return others.filter(([, one]) => Math.abs(one.top - line) < 2).reduce((best, one) => (best && far(best) <= far(one) ? best : one), null)?.[0];
}
