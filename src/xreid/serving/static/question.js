// What is searched for, as the API takes it and as the address in the browser holds it: ids, never names.

import { get } from "./api.js";
import { count, tell } from "./dom.js";

export const FIRST = { top: 30, rerank: 0 }; // how many results at first, and in which order

/** A query made of a file, as if it were a tracklet of no camera and no time. */
export const ofFile = (one) => ({ ...one, uploaded: true, camera: null, start_s: null, end_s: null, labels: [] });

/** The body of a search; file: the case that it belongs to. */
export function bodyOf(query, { filters, file, order }) {
  const ids = (uploaded) => query.filter((one) => Boolean(one.uploaded) === uploaded).map((one) => one.id);
  return { tracklets: ids(false), queries: ids(true), filters, case: file, top: order.top, ...(order.rerank ? { rerank: order.rerank } : {}) };
}

/** A search as an address; filters as the form tells them. */
export function toAddress(body, filters) {
  const said = new URLSearchParams();
  if (body.tracklets.length) said.set("t", body.tracklets.join(","));
  if (body.queries.length) said.set("q", body.queries.join(","));
  if (body.case) said.set("case", body.case);
  if (body.top !== FIRST.top) said.set("top", body.top);
  if (body.rerank) said.set("rerank", body.rerank);
  if (filters) said.set("f", filters);
  const text = said.toString();
  return text && `?${text}`;
}

export function fromAddress(said) {
  const ids = (name) => (said.get(name) ?? "").split(",").filter((one) => /^[0-9a-f]{1,64}$/.test(one));
  return {
    tracklets: ids("t"), queries: ids("q"), file: ids("case")[0], filters: said.get("f") ?? "",
    order: { top: Number(said.get("top")) || FIRST.top, rerank: Number(said.get("rerank")) || FIRST.rerank },
  };
}

/** Those of the tracklets and queries that are still there; what is known of one that cannot be asked for just now stays. */
export async function stillThere(tracklets, queries, known = []) {
  const or = (id, uploaded) => (error) => (error.status !== 404 && known.find((one) => one.id === id && Boolean(one.uploaded) === uploaded)) || null;
  const all = await Promise.all([...tracklets.map((id) => get(`/tracklets/${id}`).catch(or(id, false))), ...queries.map((id) => get(`/queries/${id}`).then(ofFile).catch(or(id, true)))]);
  const found = all.filter(Boolean);
  if (found.length < all.length) tell(`${count(all.length - found.length, "example")} gone from the gallery`, "bad");
  return found;
}
