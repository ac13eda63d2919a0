// Verdicts with their evidence: what grows, how fast, how sure, and what does not.

import { getJson } from "./api.js";
import { byId, el, name } from "./dom.js";
import { Panel, stack } from "./panel.js";
import { makeChip, updateChip } from "./strip.js";
import { bytes, measuredBytes, measuredRate, measuredSeconds, seconds, things } from "./units.js";
import { VERDICTS } from "./words.js";

const SHOWN = 40;
/** Of what is no finding so many are shown at first. */
const OTHERS = 5;

/** The list of verdicts. */
export class Leaks {
  #panel = new Panel(byId("leaks"));
  #list = byId("leaks-list");
  #asked = null;
  #open = new Map();
  #all = false;
  #answer = null;

  constructor() {
    byId("leaks-more").addEventListener("click", () => {
      this.#all = !this.#all;
      if (this.#answer) this.#fill(this.#answer);
    });
  }

  /** Shows another capture, range or moment. */
  show(asked, fresh) {
    this.#asked = asked;
    if (!fresh) {
      this.#open.clear();
      if (!asked) this.#list.replaceChildren();
    }
    if (!asked) return this.#panel.stop("Nothing is recorded yet.");
    return this.#panel.load(
      (signal) => getJson("/api/leaks", { ...asked, by: "site", limit: SHOWN }, signal),
      (answer) => this.#fill(answer),
    );
  }

  #fill(answer) {
    this.#answer = answer;
    const { sites } = answer;
    const found = sites.filter(
      (site) => site.verdict?.class === "leak" || site.verdict?.class === "too-little-evidence",
    );
    const shown = this.#all ? sites : sites.slice(0, Math.max(found.length, OTHERS));
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.#list.replaceChildren(...shown.map((site, at) => this.#item(site, answer.offset + at + 1)));
    if (focused)
      [...this.#list.querySelectorAll(".verdict-head")].find((head) => head.dataset.key === focused)?.focus();
    const more = byId("leaks-more");
    more.hidden = !this.#all && shown.length === sites.length;
    more.textContent = this.#all ? "Show fewer" : `Show ${things(sites.length - shown.length, "other site")}`;
    const leaks = sites.filter((site) => site.verdict?.class === "leak").length;
    byId("leaks-count").textContent = leaks === 0 ? "no leak found" : things(leaks, "leak");
    return sites.length === 0 ? "No site holds memory here." : null;
  }

  #item(site, number) {
    const chip = makeChip();
    updateChip(chip, VERDICTS, site.verdict?.class);
    const key = site.name + (site.frames[1]?.function ?? "") + (site.frames[0]?.line ?? "");
    const open = this.#open.has(key);
    const evidence = el("div", { class: "evidence", hidden: !open, id: `evidence-${number}` });
    const head = el(
      "button",
      {
        type: "button",
        class: "verdict-head",
        "aria-expanded": String(open),
        "aria-controls": evidence.id,
        "data-key": key,
      },
      chip,
      el("span", { class: "function" }, name(site.name)),
      el("span", { class: "held" }, measuredBytes(site.live_bytes)),
      el("span", { class: "why" }, why(site.verdict)),
    );
    head.addEventListener("click", () => {
      evidence.hidden = !evidence.hidden;
      head.setAttribute("aria-expanded", String(!evidence.hidden));
      if (evidence.hidden) this.#open.delete(key);
      else this.#explain(evidence, site, number, key);
    });
    if (open) evidence.replaceChildren(...this.#open.get(key));
    return el("li", { "data-kind": site.verdict?.class }, head, evidence);
  }

  async #explain(evidence, site, number, key) {
    const text = el("pre", { class: "explanation", tabindex: "0" }, "Collecting the evidence …");
    const parts = [text, el("h4", {}, "Where its blocks are allocated"), stack(site.frames)];
    this.#open.set(key, parts);
    evidence.replaceChildren(...parts);
    try {
      const answer = await getJson("/api/explain", { ...this.#asked, site: number });
      text.textContent = answer.text;
    } catch (error) {
      text.textContent = name(error.message);
    }
  }
}

/** Why a site has its verdict, and what follows. */
export function why(verdict) {
  if (!verdict) return "";
  const left = verdict.seconds_to_limit;
  return [
    verdict.rate_bytes_per_s && `grows ${measuredRate(verdict.rate_bytes_per_s)}`,
    left && `${measuredSeconds(left)} until the limit of ${bytes(verdict.limit_bytes)}`,
    verdict.reason,
    verdict.hidden_rate_bytes_per_s && `up to ${bytes(verdict.hidden_rate_bytes_per_s)}/s may hide here`,
    verdict.record_for_s && `record ${seconds(verdict.record_for_s)} more`,
  ]
    .filter(Boolean)
    .join("; ");
}
