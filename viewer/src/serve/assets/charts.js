// What all charts share: colours of the theme, fonts, and the options of the chart library.

import { colour } from "./theme.js";

/* global Plotly */

/** Options of every chart: our own buttons stand above it, and it follows the size of its place. */
export const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false };

/** An axis of wall times. */
export const TIME_AXIS = { type: "date", hoverformat: "%H:%M:%S", tickangle: 0, nticks: 8 };

const QUIET = matchMedia("(prefers-reduced-motion: reduce)");

/** So many times the page's letter size, in pixels: charts grow with the page. */
export function rem(times) {
  return Math.round(times * Number.parseFloat(getComputedStyle(document.documentElement).fontSize));
}

/** The layout that every chart begins with. */
export function layout(more) {
  const text = colour("text-soft");
  const axis = { gridcolor: colour("line"), zeroline: false, linecolor: colour("line-strong"), automargin: true };
  const { xaxis = {}, yaxis = {}, ...rest } = more;
  return {
    font: { family: getComputedStyle(document.body).fontFamily, size: rem(0.8), color: text },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: 12, t: 8, b: 8 },
    hoverlabel: {
      bgcolor: colour("raised"),
      bordercolor: colour("line-strong"),
      font: { color: colour("text") },
      align: "left",
      namelength: -1,
    },
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, rangemode: "tozero", ...yaxis },
    ...rest,
  };
}

/** Draws, or brings what is drawn up to date. */
export function draw(place, traces, more, config = {}) {
  return Plotly.react(place, traces, layout(more), { ...CONFIG, ...config, transition: QUIET.matches ? 0 : undefined });
}

/** Ticks of bytes at powers of two, so that they read 64 MiB and not 67.1 M. */
export function byteTicks(most) {
  const wanted = Math.max(most, 1024) / 4;
  const step = 2 ** Math.ceil(Math.log2(wanted));
  const ticks = [0, 1, 2, 3, 4, 5].map((number) => number * step).filter((tick) => tick <= most * 1.3 + step);
  return { tickvals: ticks, ticktext: ticks.map(tickText) };
}

function tickText(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const unit = value === 0 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
  return `${Number((value / 1024 ** unit).toFixed(2))} ${units[unit]}`;
}

/** A wall time as the library's dates, which know no time zones: local time written as if it were UTC. */
export function localTime(unixMs) {
  return unixMs - new Date(unixMs).getTimezoneOffset() * 60000;
}

/** The wall time of one of the library's dates. */
export function unixTime(date) {
  const local = typeof date === "number" ? date : Date.parse(`${String(date).replace(" ", "T")}Z`);
  return local + new Date(local).getTimezoneOffset() * 60000;
}
