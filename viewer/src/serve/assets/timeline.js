// The timeline of one capture: resident set, live bytes, the limit, allocation rate; zoom, and a range to look into.

import { getJson, isAbort } from "./api.js";
import { TIME_AXIS, byteTicks, draw, localTime, rem, unixTime } from "./charts.js";
import { byId, chartName } from "./dom.js";
import { colour } from "./theme.js";
import { bytes, measuredBytes, moment } from "./units.js";

/* global Plotly */

const WHOLE_EVERY_MS = 15000;
const MARKERS = 40;

/** Draws a capture's timeline and tells which range is selected. */
export class Timeline {
  #place = byId("timeline");
  #onRange;
  #capture = null;
  #points = [];
  #range = null;
  #zoom = null;
  #whole = false;
  #wholePoints = [];
  #wholeAt = 0;
  #asked = null;
  #held = false;
  #wired = false;

  /** `onRange` is called with `{from, to}` in milliseconds since the session's start. */
  constructor(onRange) {
    this.#onRange = onRange;
    this.#place.addEventListener("pointerdown", () => (this.#held = true));
    addEventListener("pointerup", () => (this.#held = false));
    addEventListener("pointercancel", () => (this.#held = false));
    this.#choose("span-recent", "span-whole", (id) => this.#show(id === "span-whole"));
    this.#choose("drag-select", "drag-zoom", () => this.#relayout());
    byId("zoom-reset").addEventListener("click", () => this.#reset());
  }

  /** Two buttons of which one is pressed. */
  #choose(one, other, then) {
    [one, other].forEach((id) =>
      byId(id).addEventListener("click", () => {
        [one, other].forEach((each) => byId(each).setAttribute("aria-pressed", String(each === id)));
        then(id);
      }),
    );
  }

  #show(whole) {
    this.#whole = whole;
    this.#wholeAt = 0;
    this.#reset();
    this.update(this.#capture, this.#points, this.#range);
  }

  #reset() {
    this.#zoom = null;
    this.redraw();
  }

  #relayout() {
    if (this.#wired) Plotly.relayout(this.#place, { dragmode: this.#dragMode() });
  }

  #dragMode() {
    return byId("drag-zoom").getAttribute("aria-pressed") === "true" ? "zoom" : "select";
  }

  /** Shows the newest points of a capture. */
  update(capture, points, range) {
    if (capture?.id !== this.#capture?.id) {
      this.#zoom = null;
      this.#wholePoints = [];
      this.#wholeAt = 0;
    }
    this.#capture = capture;
    this.#points = points;
    this.#range = range;
    if (this.#whole) this.#askWhole();
    this.redraw();
  }

  #askWhole() {
    if (!this.#capture || Date.now() - this.#wholeAt < WHOLE_EVERY_MS) return;
    this.#wholeAt = Date.now();
    this.#asked?.abort();
    this.#asked = new AbortController();
    const capture = this.#capture.id;
    getJson("/api/timeline", { capture, series: "whole" }, this.#asked.signal)
      .then(({ points }) => {
        if (this.#capture?.id !== capture) return;
        this.#wholePoints = points;
        this.redraw();
      })
      .catch((error) => isAbort(error) || console.warn(`timeline: ${error.message}`));
  }

  #shown() {
    if (!this.#whole || this.#wholePoints.length === 0) return this.#points;
    const last = this.#wholePoints.at(-1).at_ms;
    return [...this.#wholePoints, ...this.#points.filter((point) => point.at_ms > last)];
  }

  /** Draws what is known; not under a finger that is dragging. */
  redraw() {
    const capture = this.#capture;
    const points = this.#shown();
    byId("timeline-empty").hidden = points.length > 0;
    this.#place.hidden = points.length === 0;
    if (this.#held || !capture || points.length === 0) return;
    draw(this.#place, traces(capture, points), this.#layout(capture, points));
    if (!this.#wired) this.#wire();
  }

  #wire() {
    this.#wired = true;
    this.#place.on("plotly_selected", (event) => {
      this.#held = false;
      if (event?.range?.x) this.#select(event.range.x);
      Plotly.relayout(this.#place, { selections: [] });
    });
    this.#place.on("plotly_relayout", (change) => {
      if ("xaxis.range[0]" in change) this.#zoom = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    });
    this.#place.on("plotly_doubleclick", () => this.#reset());
  }

  #select(ends) {
    const [from, to] = ends
      .map((end) => unixTime(end) - this.#capture.started_unix_ms)
      .sort((one, other) => one - other);
    const last = Math.max(this.#capture.at_ms, this.#points.at(-1)?.at_ms ?? 0);
    const inside = (ms) => Math.round(Math.min(Math.max(ms, 0), last));
    if (inside(to) > inside(from)) this.#onRange({ from: inside(from), to: inside(to) });
  }

  #layout(capture, points) {
    const time = (ms) => localTime(capture.started_unix_ms + ms);
    const most = points.reduce(
      (sum, point) => Math.max(sum, point.rss_high_bytes ?? point.rss_bytes ?? 0, point.live_bytes?.value ?? 0),
      0,
    );
    const limit = points.at(-1)?.limit_bytes;
    // A limit far above would flatten everything else: then it is only written down.
    const top = limit && limit < most * 4 ? Math.max(limit, most) : most;
    const ends = [time(points[0].at_ms), time(Math.max(points.at(-1).at_ms, points[0].at_ms + 10000))];
    return {
      height: rem(innerHeight > 1200 ? 30 : 23),
      dragmode: this.#dragMode(),
      selectdirection: "h",
      newselection: { line: { color: colour("accent"), width: 1 } },
      hovermode: "x unified",
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
      xaxis: {
        ...TIME_AXIS,
        nticks: Math.max(3, Math.min(12, Math.floor(this.#place.clientWidth / 130))),
        range: this.#zoom ?? ends,
        anchor: "y2",
      },
      yaxis: { range: [0, top * 1.08], domain: [0.27, 1], fixedrange: true, ...byteTicks(top * 1.08) },
      yaxis2: { ...rateAxis(points), domain: [0, 0.17] },
      shapes: [...markerLines(capture, time), ...rangeBox(this.#range, time)],
      annotations: markerNames(capture, time),
      margin: { l: 8, r: 12, t: 28, b: 8 },
    };
  }
}

function rateAxis(points) {
  const most = points.reduce((sum, point) => Math.max(sum, point.allocated_bytes_per_s ?? 0), 0);
  const top = Math.max(most, 1024) * 1.1;
  return {
    range: [0, top],
    fixedrange: true,
    gridcolor: colour("line"),
    zeroline: false,
    automargin: true,
    tickvals: [0, most],
    ticktext: ["0", `${bytes(most)}/s`],
  };
}

function markerLines(capture, time) {
  const line = { color: colour("text-faint"), width: 1, dash: "dot" };
  return capture.markers
    .slice(-MARKERS)
    .map(({ at_ms: at }) => ({ type: "line", x0: time(at), x1: time(at), yref: "paper", y0: 0, y1: 1, line }));
}

function markerNames(capture, time) {
  return capture.markers.slice(-MARKERS).map(({ at_ms: at, name }) => ({
    x: time(at),
    yref: "paper",
    y: 0.22,
    text: `⚑ ${chartName(name, 24)}`,
    showarrow: false,
    xanchor: "left",
    yanchor: "middle",
    font: { size: rem(0.73), color: colour("text-soft") },
  }));
}

function rangeBox(range, time) {
  if (!range) return [];
  const line = { color: colour("accent"), width: 1 };
  const fillcolor = colour("accent-wash");
  return [
    {
      type: "rect",
      x0: time(range.from),
      x1: time(range.to),
      yref: "paper",
      y0: 0,
      y1: 1,
      fillcolor,
      line,
      layer: "below",
    },
  ];
}

function traces(capture, points) {
  const x = points.map((point) => localTime(capture.started_unix_ms + point.at_ms));
  const since = points.map((point) => `${moment(point.at_ms)} after its start`);
  const line = (name, y, text, style) => ({ name, x, y, text, mode: "lines", hovertemplate: "%{text}", ...style });
  const live = (pick) => points.map((point) => (point.live_bytes ? pick(point.live_bytes) : null));
  const [low, high] = ["low", "high"].map((side) =>
    points.map((point) => point[`live_${side}_bytes`] ?? point.live_bytes?.[side] ?? null),
  );
  const [least, most] = ["low", "high"].map((side) =>
    points.map((point) => point[`rss_${side}_bytes`] ?? point.rss_bytes),
  );
  const band = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  const [rssColour, liveColour] = [colour("series-rss"), colour("series-live")];
  const limits = points.map((point) => point.limit_bytes ?? null);
  return [
    { ...band, y: low },
    { ...band, y: high, fill: "tonexty", fillcolor: colour("series-live-wash") },
    { ...band, y: least },
    { ...band, y: most, fill: "tonexty", fillcolor: colour("series-rss-wash") },
    line(
      "resident (RSS)",
      points.map((point) => point.rss_bytes),
      points.map((point, at) => `${bytes(point.rss_bytes)} · ${since[at]}`),
      {
        line: { color: rssColour, width: 2 },
      },
    ),
    line(
      "live (heap)",
      live((measure) => measure.value),
      live(measuredBytes),
      { line: { color: liveColour, width: 2 } },
    ),
    ...(limits.some((limit) => limit !== null)
      ? [line("limit", limits, limits.map(bytes), { line: { color: colour("red"), width: 1.5, dash: "dash" } })]
      : []),
    line(
      "allocated per second",
      points.map((point) => point.allocated_bytes_per_s),
      points.map((point) => `${bytes(point.allocated_bytes_per_s)}/s`),
      {
        yaxis: "y2",
        line: { color: colour("series-rate"), width: 1 },
        fill: "tozeroy",
        fillcolor: colour("series-rate-wash"),
      },
    ),
  ];
}
