// The side of the search: cameras, times and other filters, and the list of what passes them. On a phone it is a fold.

import { h } from "./dom.js";
import { Filters } from "./filters.js";
import { TrackletList } from "./list.js";

const NARROW = matchMedia("(max-width: 53.75em)"); // as in app.css: one column

export class Side {
  /** @param filtered called with the filters whenever they change; choose with a tracklet and whether it is added */
  constructor({ gallery, cameras }, { filtered, choose }) {
    this.list = new TrackletList(choose);
    this.filters = new Filters(gallery, cameras, filtered);
    this.fold = h("details.side", { open: !NARROW.matches }, h("summary", {}, "Cameras, times, tracklets"), h("div.side-in", {}, this.filters.element, this.list.element));
    this.element = h("aside", { "aria-label": "Cameras, times and tracklets" }, this.fold);
  }

  toList() {
    this.fold.open = true;
    this.list.rows.focus();
  }

  /** Somebody was chosen: where the results are below the list, it makes room for them. */
  chosen() {
    if (!NARROW.matches || !this.fold.open) return;
    this.fold.open = false;
    scrollTo(0, 0);
  }

  leave() {
    this.places = [scrollY, this.list.window.scrollTop, this.filters.element.scrollTop];
  }

  /** Shown again, where it was. */
  returns() {
    const [page, list, filters] = this.places ?? [0, 0, 0];
    scrollTo(0, page);
    Object.assign(this.list.window, { scrollTop: list });
    Object.assign(this.filters.element, { scrollTop: filters });
  }
}
