// How many results, and in which order.

import { h } from "./dom.js";

const MOST = 2000, STEP = 200; // results that the server gives at most, and more of them at a time

const TOPS = [12, 30, 60, 120, 200];
const DEPTH = 100; // re-ranked at most; the neighbourhoods of more cost time and move little

/** @param changed called with {top, rerank} */
export function orderBox(order, changed) {
  const top = h("select", { "aria-label": "Most results", onchange: (event) => changed({ ...order, top: Number(event.target.value) }) }, [...new Set([...TOPS, order.top])].sort((a, b) => a - b).map((n) => h("option", { value: n, "data-key": n, selected: n === order.top }, `top ${n}`)));
  const how = h("select", { "aria-label": "Order", title: "Re-ranked: who is alike the same others comes first. It often finds more of a person who was seen often, and costs some time. Probabilities do not change by it.", onchange: (event) => changed({ ...order, rerank: Number(event.target.value) }) },
    h("option", { value: 0, selected: !order.rerank }, "most alike first"), h("option", { value: DEPTH, selected: order.rerank > 0 }, "re-ranked by their neighbours"));
  return [top, how];
}

/** For further results, where there may be any; go is called with how many there are to be in all. */
export function moreButton(top, { found, searched }, go) {
  if (found < top || found >= searched || top >= MOST) return "";
  const next = Math.min(MOST, Math.ceil((top + 1) / STEP) * STEP);
  return h("p.bar", { "data-key": "more" }, h("button", { type: "button", onclick: () => go(next) }, `Show ${Math.min(next - top, searched - found).toLocaleString("en")} more`), h("span.soft.small", {}, `of ${searched.toLocaleString("en")} searched`));
}
