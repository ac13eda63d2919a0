// How sizes and lifetimes of blocks are spread.

import { getJson } from "./api.js";
import { byteTicks, draw, rem } from "./charts.js";
import { byId } from "./dom.js";
import { Panel } from "./panel.js";
import { colour } from "./theme.js";
import { bytes, duration, measuredBytes, measuredCount } from "./units.js";

/** One histogram: of `size` or of `lifetime`. */
export class Histogram {
  #of;
  #panel;
  #place;
  #answer = null;

  constructor(of) {
    this.#of = of;
    this.#panel = new Panel(byId(`histogram-${of}`));
    this.#place = byId(`histogram-${of}-chart`);
    byId("histogram-count").addEventListener("change", () => this.redraw());
    byId("histogram-bytes").addEventListener("change", () => this.redraw());
  }

  /** Shows another capture, range or moment. */
  show(asked, fresh) {
    if (!fresh) {
      this.#answer = null;
      this.redraw();
    }
    if (!asked) return this.#panel.stop("Nothing is recorded yet.");
    return this.#panel.load(
      (signal) => getJson("/api/histogram", { ...asked, of: this.#of }, signal),
      (answer) => {
        this.#answer = answer;
        this.redraw();
        return answer.buckets.length === 0 ? "No blocks here." : null;
      },
    );
  }

  /** Draws what is known. */
  redraw() {
    const buckets = this.#answer?.buckets ?? [];
    this.#place.hidden = buckets.length === 0;
    if (buckets.length === 0) return;
    const inBytes = byId("histogram-bytes").checked;
    const all = buckets.map((bucket) => (inBytes ? bucket.bytes : bucket.allocations));
    const unfreed = buckets.map((bucket) => (inBytes ? bucket.unfreed_bytes : bucket.unfreed_allocations));
    const text = inBytes ? measuredBytes : measuredCount;
    const x = buckets.map((bucket) => bound(this.#answer.unit, bucket.from));
    const span = buckets.map(
      (bucket) => `${bound(this.#answer.unit, bucket.from)} … ${bound(this.#answer.unit, bucket.to)}`,
    );
    const parts = unfreed.some(Boolean)
      ? [
          {
            name: "freed",
            values: all,
            color: colour("series-live"),
          },
          { name: "not freed yet", values: unfreed, color: colour("series-kept"), pattern: "/" },
        ]
      : [{ name: "blocks", values: all, color: colour("series-live") }];
    const traces = parts.map((part) => bars(part, x, span, text));
    const most = Math.max(...all.map((measure, at) => measure.value + (unfreed[at]?.value ?? 0)));
    draw(this.#place, traces, {
      height: rem(16),
      barmode: "stack",
      bargap: 0.15,
      showlegend: parts.length > 1,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      xaxis: { type: "category", fixedrange: true, tickangle: -40 },
      yaxis: { fixedrange: true, ...(inBytes ? byteTicks(most) : { tickformat: "~s" }) },
    });
  }
}

function bound(unit, value) {
  return unit === "bytes" ? bytes(value) : duration(value);
}

function bars({ name, values, color, pattern = "" }, x, span, text) {
  return {
    type: "bar",
    name,
    x,
    y: values.map((measure) => measure?.value ?? 0),
    text: values.map((measure, at) => `${span[at]}: ${text(measure)}`),
    textposition: "none",
    hovertemplate: "%{text}",
    marker: { color, pattern: { shape: pattern, size: 6, solidity: 0.3 } },
  };
}
