// The flame graph: of now or the selected range, of leaks, or what changed between two moments.

import { getBlob, getJson } from "./api.js";
import { draw, rem } from "./charts.js";
import { byId, chartName, el, setText } from "./dom.js";
import { Panel, place } from "./panel.js";
import { colour } from "./theme.js";
import { Ids, crate, folded, lists, tree } from "./tree.js";
import { measuredBytes, measuredCount, moment, share, signedBytes } from "./units.js";

const SITES = 1000;
const MINUTE_MS = 60000;
/** A difference up to now is asked for anew after so long at the earliest: the server reads the capture for each. */
const DIFFERENCE_EVERY_MS = 30000;
const ROW_REM = 1.35;

const OF = {
  live: { sort: "live_bytes", width: (site) => site.live_bytes },
  leaks: { width: (site) => (site.verdict?.class === "leak" ? site.live_bytes : null) },
  peak: { sort: "peak_live_bytes", width: (site) => site.peak_live_bytes },
  total: { sort: "total_bytes", width: (site) => site.total_bytes },
  temporary: { sort: "temporary_allocations", width: (site) => site.temporary_allocations, text: measuredCount },
};

/** The flame graph and its choice of what it shows. */
export class Flame {
  #panel = new Panel(byId("flame"));
  #place = byId("flame-chart");
  #asked = null;
  #last = 0;
  #shown = null;
  #ids = new Ids();

  constructor() {
    byId("flame-of").addEventListener("change", () => this.#load());
    byId("flame-save").addEventListener("click", () => this.#save());
    byId("flame-fold").addEventListener("change", () => this.redraw());
    byId("flame-search").addEventListener("input", () => this.redraw());
  }

  /** Shows another capture, range or moment; `last` is its newest moment. */
  show(asked, fresh, last) {
    this.#asked = asked;
    this.#last = last;
    if (!fresh) {
      this.#ids = new Ids();
      this.#shown = null;
      this.redraw();
    }
    const { of, at } = this.#shown ?? {};
    if (fresh && of === "diff" && Date.now() - at < DIFFERENCE_EVERY_MS) return;
    this.#load();
  }

  /** The two moments of a difference: the ends of the range, else a minute ago and now. */
  #moments() {
    const after = this.#asked.to ?? Math.floor(this.#last);
    return { before: this.#asked.from ?? Math.max(0, after - MINUTE_MS), after };
  }

  #load() {
    if (!this.#asked) return this.#panel.stop("Nothing is recorded yet.");
    const of = byId("flame-of").value;
    return of === "diff" ? this.#loadDifference() : this.#loadSites(of);
  }

  #loadSites(of) {
    const path = of === "leaks" ? "/api/leaks" : "/api/sites";
    const parameters = { ...this.#asked, by: "site", sort: OF[of].sort, limit: SITES };
    return this.#panel.load(
      (signal) => getJson(path, parameters, signal),
      (answer) => {
        const root = tree(answer.sites, OF[of].width);
        this.#shown = { of, root, title: "" };
        this.redraw();
        if (root.value > 0) return null;
        return of === "leaks"
          ? "No leak here."
          : of === "temporary"
            ? "Temporary blocks are known of exact captures only."
            : "Nothing here.";
      },
    );
  }

  #loadDifference() {
    const { before, after } = this.#moments();
    const { capture } = this.#asked;
    return this.#panel.load(
      (signal) => getJson("/api/diff", { capture, before, after }, signal),
      (answer) => {
        const larger = ({ before: one, after: other }) => (one.value > other.value ? one : other);
        const root = tree(answer.changes, larger, (change) => change.change.value);
        this.#shown = {
          of: "diff",
          at: Date.now(),
          root,
          title: `${moment(before)} → ${moment(after)}: red for more, blue for less`,
        };
        this.redraw();
        return root.value > 0 ? null : "Nothing changed beyond what sampling explains.";
      },
    );
  }

  /** Draws what is known. */
  redraw() {
    const { of, root, title } = this.#shown ?? {};
    const visible = Boolean(root?.value);
    this.#place.hidden = !visible;
    this.#place.dataset.of = visible ? of : "";
    setText(byId("flame-title"), visible ? title : "");
    if (!visible) return;
    const all = lists(byId("flame-fold").checked ? folded(root) : root, this.#ids);
    const level = this.#place.data?.[0]?.level;
    const searched = byId("flame-search").value.trim().toLowerCase();
    const trace = {
      type: "icicle",
      ids: all.ids,
      level: all.ids.includes(level) ? level : "0",
      parents: all.parents,
      labels: all.labels,
      values: all.values,
      branchvalues: "total",
      sort: false,
      text: all.nodes.map((node) => hover(node, root, of)),
      hovertemplate: "%{text}<extra></extra>",
      textinfo: "label",
      tiling: { orientation: "v", pad: 1 },
      pathbar: { visible: true, side: "top", thickness: rem(1.35) },
      marker: { colors: all.nodes.map((node) => paint(node, of, searched)), line: { width: 0 } },
      textfont: { color: colour("flame-text"), size: rem(0.75) },
      insidetextfont: { color: colour("flame-text"), size: rem(0.75) },
    };
    draw(this.#place, [trace], {
      height: Math.max(rem(all.depth * ROW_REM + 2.7), rem(11)),
      margin: { l: 0, r: 0, t: 4, b: 0 },
      uniformtext: { minsize: rem(0.67), mode: "hide" },
    });
  }

  async #save() {
    if (!this.#asked) return;
    const of = byId("flame-of").value;
    const { capture } = this.#asked;
    const parameters = of === "diff" ? { capture, ...this.#moments() } : { ...this.#asked, of };
    try {
      const address = URL.createObjectURL(await getBlob("/api/flamegraph.svg", parameters));
      el("a", { href: address, download: `flamegraph-${of}.svg` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    } catch (error) {
      this.#panel.say(error.message, "error");
    }
  }
}

function hover(node, root, of) {
  const lines = [`<b>${chartName(node.name)}</b>`];
  if (node.frame?.file) lines.push(chartName(place(node.frame)));
  if (node.calls > 1) lines.push(`the innermost of ${node.calls} calls within its crate`);
  if (of === "diff") lines.push(`${signedBytes(node.more)} since`);
  const text = OF[of]?.text ?? measuredBytes;
  lines.push(`${text(node)} · ${share(node.value, root.value)}`);
  return lines.join("<br>");
}

/** One colour for each crate; of a difference red for more and blue for less; what is searched for stands out. */
function paint(node, of, searched) {
  if (searched && node.name.toLowerCase().includes(searched)) return colour("flame-found");
  const light = document.documentElement.dataset.theme !== "dark";
  if (of === "diff") {
    const part = Math.max(-1, Math.min(1, node.more / Math.max(node.value, 1)));
    const strength = Math.abs(part);
    const lightness = light ? 94 - 30 * strength : 26 + 20 * strength;
    return `hsl(${part > 0 ? 4 : 215}, ${Math.round(12 + 60 * strength)}%, ${Math.round(lightness)}%)`;
  }
  if (!node.frame) return colour("line");
  const hash = [...crate(node.name)].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 360, 7);
  return searched ? colour("line") : `hsl(${hash}, ${light ? "62%, 80%" : "34%, 36%"})`;
}
