// The table of sites: sorted, filtered and grouped by the server, a page at a time.

import { getJson } from "./api.js";
import { byId, el, name, setAttribute } from "./dom.js";
import { Panel, place, stack } from "./panel.js";
import { makeChip, updateChip } from "./strip.js";
import { count, measuredBytes, measuredCount, share, things } from "./units.js";
import { VERDICTS } from "./words.js";

const ROWS = 25;
const TYPING_MS = 250;

const COLUMNS = [
  { key: "name", word: "Site", cell: nameCell },
  { key: "live_bytes", word: "Live", sort: true, number: true, cell: (site, whole) => barCell(site.live_bytes, whole) },
  { key: "live_allocations", word: "Blocks", number: true, cell: (site) => measuredCount(site.live_allocations) },
  {
    key: "peak_live_bytes",
    word: "At the peak",
    sort: true,
    number: true,
    cell: (site) => measuredBytes(site.peak_live_bytes),
  },
  { key: "total_bytes", word: "Total", sort: true, number: true, cell: (site) => measuredBytes(site.total_bytes) },
  {
    key: "temporary_allocations",
    word: "Temporary",
    sort: true,
    number: true,
    cell: (site) => measuredCount(site.temporary_allocations),
  },
  { key: "verdict", word: "Verdict", cell: verdictCell },
];

/** The table and its controls. */
export class Sites {
  #panel = new Panel(byId("sites"));
  #body = byId("sites-rows");
  #asked = null;
  #sort = "live_bytes";
  #offset = 0;
  #open = new Set();
  #typing = 0;

  constructor() {
    byId("sites-head").append(...COLUMNS.map((column) => this.#heading(column)));
    byId("sites-by").addEventListener("change", () => this.#again());
    byId("sites-filter").addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#again(), TYPING_MS);
    });
    byId("sites-before").addEventListener("click", () => this.#page(-ROWS));
    byId("sites-after").addEventListener("click", () => this.#page(ROWS));
  }

  #heading(column) {
    const button =
      column.sort && el("button", { type: "button", on: { click: () => this.#sortBy(column.key) } }, column.word);
    const sorted = column.key === this.#sort ? "descending" : null;
    const attributes = {
      scope: "col",
      class: column.number ? "number" : null,
      "data-key": column.key,
      "aria-sort": sorted,
    };
    return el("th", attributes, button || column.word);
  }

  #sortBy(key) {
    this.#sort = key;
    byId("sites-head").childNodes.forEach((head) =>
      setAttribute(head, "aria-sort", head.dataset.key === key ? "descending" : null),
    );
    this.#again();
  }

  #page(by) {
    this.#offset = Math.max(0, this.#offset + by);
    this.#load();
  }

  /** From the first row on: what is asked for has changed. */
  #again() {
    this.#offset = 0;
    this.#open.clear();
    this.#load();
  }

  /** Shows another capture, range or moment: `{capture, from, to}`; `null` for nothing. */
  show(asked, fresh) {
    this.#asked = asked;
    if (!fresh) {
      this.#offset = 0;
      this.#open.clear();
      if (!asked) this.#body.replaceChildren();
    }
    this.#load();
  }

  #load() {
    if (!this.#asked) return this.#panel.stop("Nothing is recorded yet.");
    const by = byId("sites-by").value;
    const filter = byId("sites-filter").value.trim();
    const parameters = { ...this.#asked, by, sort: this.#sort, filter, offset: this.#offset, limit: ROWS };
    return this.#panel.load(
      (signal) => getJson("/api/sites", parameters, signal),
      (answer) => this.#fill(answer, filter),
    );
  }

  #fill(answer, filter) {
    const { sites, total_rows: total, offset } = answer;
    const whole = Math.max(...sites.map((site) => site.live_bytes.value), 1);
    const focused = this.#body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.#body.replaceChildren(...sites.flatMap((site) => this.#row(site, whole)));
    if (focused) [...this.#body.querySelectorAll(".fold")].find((fold) => fold.dataset.key === focused)?.focus();
    byId("sites-count").textContent =
      total > ROWS ? `${count(offset + 1)}–${count(offset + sites.length)} of ${count(total)}` : things(total, "row");
    byId("sites-before").disabled = offset === 0;
    byId("sites-after").disabled = offset + sites.length >= total;
    if (total > 0) return null;
    return filter ? "Nothing matches the filter." : "No allocations here.";
  }

  #row(site, whole) {
    const key = `${site.name} ${site.frames[1]?.function} ${site.frames[0]?.line}`;
    const open = this.#open.has(key);
    const cells = COLUMNS.map((column) =>
      el(
        column.key === "name" ? "th" : "td",
        { scope: column.key === "name" ? "row" : null, class: column.number ? "number" : null },
        column.cell(site, whole),
      ),
    );
    const row = el("tr", {}, cells);
    if (site.frames.length < 2) return [row];
    const more = el(
      "tr",
      { class: "more", hidden: !open },
      el("td", { colspan: COLUMNS.length }, open ? stack(site.frames) : null),
    );
    const label = { "aria-expanded": String(open), "aria-label": "Show the stack", "data-key": key };
    const button = el("button", { type: "button", class: "fold", ...label });
    button.addEventListener("click", () => {
      const opens = more.hidden;
      more.hidden = !opens;
      button.setAttribute("aria-expanded", String(opens));
      this.#open[opens ? "add" : "delete"](key);
      if (opens) more.firstElementChild.replaceChildren(stack(site.frames));
    });
    cells[0].prepend(button);
    return [row, more];
  }
}

function nameCell(site) {
  const frame = site.frames.find((each) => each.file);
  return [
    el("span", { class: "function", title: name(site.name) }, name(site.name)),
    frame ? el("span", { class: "place" }, name(place(frame), 120)) : null,
  ].filter(Boolean);
}

function barCell(measure, whole) {
  const meter = el("span", { class: "meter", "aria-hidden": "true" });
  meter.style.setProperty("--part", share(measure.value, whole).replace(/^< /, "").replace(" ", "") || "0%");
  return [measuredBytes(measure), meter];
}

function verdictCell(site) {
  const chip = makeChip();
  updateChip(chip, VERDICTS, site.verdict?.class);
  return chip;
}
