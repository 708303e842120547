// The view "Log", for administrators: who searched for whom, and erasing people.

import { get, post } from "./api.js";
import { count, dialog, fill, h, tell, trouble } from "./dom.js";

const OWN = ["n", "at", "who", "what", "prev", "hash"];

export class LogView {
  constructor(world) {
    Object.assign(this, { world, element: h("div.narrow", {}), entries: [] });
    this.head = h("p.soft.small", {});
    this.table = h("tbody", {});
    this.older = h("button", { type: "button", hidden: true, onclick: () => this.more() }, "Older");
    this.element.append(h("h1", {}, "Who did what"),
      h("div.bar", {}, h("button", { type: "button", onclick: () => this.verify() }, "Check the chain"), h("button.danger", { type: "button", onclick: () => this.erase() }, "Erase people …")),
      this.head, h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Log" }, h("table.lines.log", {}, h("thead", {}, h("tr", {}, ["no.", "when (UTC)", "who", "what", "details"].map((one) => h("th", { scope: "col" }, one)))), this.table)), this.older);
  }

  async enter() {
    this.entries = [];
    await this.more();
  }

  async more() {
    const turn = (this.turn = Symbol("turn")), before = this.entries.at(-1)?.n;
    try {
      const page = await get(`/audit?limit=100${before ? `&before=${before}` : ""}`);
      if (turn !== this.turn) return;
      if (!before) fill(this.table);
      this.entries.push(...page.entries);
      this.head.textContent = page.count ? `${count(page.count, "entry").replace("entrys", "entries")}; head ${page.head}` : "Nothing was done yet.";
      this.table.append(...page.entries.map((one) => h("tr", {}, h("td.soft", {}, one.n), h("td", {}, one.at.slice(0, 19).replace("T", " ")), h("td", {}, one.who), h("td", {}, h("b", {}, one.what)), h("td.small", {}, details(one)))));
      this.older.hidden = !this.entries.length || this.entries.at(-1).n <= 1;
    } catch (error) {
      fill(this.table, h("tr", {}, h("td", { colspan: 5 }, trouble(error, () => this.enter()))));
    }
  }

  async verify() {
    try {
      const page = await get("/audit?limit=1&verify=true");
      tell(page.intact ? `All ${page.count} entries hold` : `The log was changed: ${page.why}`, page.intact ? "good" : "bad");
    } catch (error) {
      tell(error.message, "bad");
    }
  }

  erase() {
    const area = (name, label) => h("label.time", {}, label, h("textarea", { name, rows: 3, spellcheck: "false" }));
    const said = h("div", { "aria-live": "polite" }), sure = h("button.danger", { type: "submit", value: "sure", disabled: true }, "Erase for good");
    const form = h("form", { oninput: () => { sure.disabled = true; }, onsubmit: (event) => { event.preventDefault(); run(event.submitter === sure); } },
      h("p", {}, "From every set of the gallery and from its disk. Crops and videos elsewhere, and exported cases, must be deleted where they are."),
      area("names", "names of tracklets, one a line"), area("identities", "people (labels of the archive), one a line"), h("label.time", {}, "reason, for the receipt", h("input", { name: "reason", maxlength: 1000 })), said,
      h("div.bar", {}, h("button", { type: "submit", value: "dry" }, "What would go?"), sure));
    const lines = (name) => form.elements[name].value.split("\n").map((one) => one.trim()).filter(Boolean);
    const run = async (really) => {
      try {
        const receipt = await post("/erase", { names: lines("names"), identities: lines("identities"), reason: form.elements.reason.value, dry_run: !really });
        fill(said, h("p", {}, h("b", {}, `${count(receipt.tracklets, "tracklet")} ${really ? "erased" : "would be erased"}.`), really ? ` Receipt ${receipt.id}.` : ""));
        sure.disabled = really || !receipt.tracklets;
      } catch (error) {
        fill(said, trouble(error));
      }
      if (!really) return; // else people may be gone, also where not all of them could be erased
      this.enter();
      this.world.refresh();
      this.world.views.Search.dropMissing();
    };
    dialog("Erase people", form);
  }
}

const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : value);

function details(entry) {
  return Object.entries(entry).filter(([name, value]) => !OWN.includes(name) && value !== null && value !== "" && !(Array.isArray(value) && !value.length) && !(typeof value === "object" && !Array.isArray(value) && !Object.keys(value).length))
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.map(plain).join(", ") : plain(value)}`).join(" · ");
}
