// The simple page: one large chart of the memory of the processes, how near its limit is, and one sentence.

import { takeToken } from "./api.js";
import { ordered } from "./cards.js";
import { TIME_AXIS, byteTicks, draw, localTime, rem } from "./charts.js";
import { byId, chartName, el, keyed, name, setAttribute, setText, show } from "./dom.js";
import { Feed } from "./feed.js";
import { History } from "./history.js";
import { followStatus } from "./status.js";
import { makeChip, makeStrip, updateLevel, updateStrip } from "./strip.js";
import { colour, followTheme } from "./theme.js";
import { bytes } from "./units.js";
import { sentence } from "./sentence.js";

const MOST_LINES = 12;
const ALL = "all";
const COLOURS = ["series-live", "series-rss", "series-kept", "green", "red", "text-faint"];

takeToken();
const feed = new Feed();
const history = new History();
const [level, strip] = [makeChip(), makeStrip()];
byId("level").append(level);
byId("strip").append(strip);
let chosen = ALL;
byId("shown").addEventListener("change", () => {
  chosen = byId("shown").value;
  update();
});

/** What can be shown: running captures, processes without one, and ended captures while nothing runs. */
function subjects(picture) {
  const captures = ordered(picture.captures).map((capture) => ({
    key: capture.id,
    word: `${name(capture.program || "not begun", 60)}${capture.pid ? ` (${capture.pid})` : ""}`,
    capture,
    bytes: capture.rss_bytes,
    strip: capture.rss_strip,
    level: capture.level,
    limit: capture.limit,
    live: ["running", "paused", "waiting"].includes(capture.state),
  }));
  const processes = picture.processes
    .filter((process) => process.capture === null)
    .map((process) => ({
      key: `pid ${process.pid}`,
      word: `${name(process.name, 60)} (${process.pid})`,
      process,
      bytes: process.memory_bytes,
      strip: process.strip,
      level: process.level,
      limit: process.limit,
      live: !process.gone,
    }));
  const all = [...captures, ...processes];
  const live = all.filter((subject) => subject.live);
  return (live.length > 0 ? live : all.slice(0, 1)).slice(0, MOST_LINES);
}

/** The subject that the large figures are of; all together when there are several and none is chosen. */
function present(picture, all) {
  const one = all.find((subject) => subject.key === chosen) ?? (all.length === 1 ? all[0] : null);
  if (one) return one;
  const { sum } = picture;
  return {
    key: ALL,
    word: "All processes",
    bytes: sum.rss_bytes,
    strip: sum.strip,
    level: sum.level,
    limit: null,
    live: true,
  };
}

function update() {
  const { picture } = feed;
  if (!picture) return;
  const all = subjects(picture);
  history.take(picture, all, feed.receivedAt);
  const subject = all.length > 0 ? present(picture, all) : null;
  setText(byId("sentence"), sentence(picture, all, subject));
  show(byId("hero"), Boolean(subject));
  if (subject) figures(subject, all);
  chart(
    all.filter((each) => subject.key === ALL || each.key === subject.key),
    subject,
  );
}

function figures(subject, all) {
  setText(byId("now"), bytes(subject.bytes));
  setText(byId("peak"), `peak ${bytes(subject.strip.peak_bytes)}`);
  updateLevel(level, subject.level, subject.limit);
  updateStrip(strip, subject.strip, `Memory of ${subject.word}`);
  const options = all.length > 1 ? [{ key: ALL, word: "all processes" }, ...all] : all;
  keyed(
    byId("shown"),
    options,
    (option) => option.key,
    (option) => el("option", { value: option.key }),
    (node, option) => {
      setText(node, option.word);
      setAttribute(node, "value", option.key);
    },
  );
  show(byId("shown-label"), options.length > 1);
  byId("shown").value = subject.key;
  document.title = `${bytes(subject.bytes)} – ${subject.word} – Plimsoll`;
}

function chart(all, subject) {
  const lines = all
    .map((each) => ({ ...each, points: history.points(each, feed.picture) }))
    .filter((each) => each.points.length > 0);
  show(byId("chart-empty"), lines.length === 0);
  show(byId("chart"), lines.length > 0);
  if (lines.length === 0) return;
  const most = Math.max(...lines.flatMap((line) => line.points.map((point) => point.bytes)), 1);
  const limit = subject.limit?.bytes;
  const top = limit && limit < most * 4 ? Math.max(limit, most) : most;
  const traces = lines.map((line, at) => trace(line, COLOURS[at % COLOURS.length], lines.length === 1));
  if (limit && top === Math.max(limit, most)) traces.push(limitLine(limit, lines[0].points));
  draw(byId("chart"), traces, {
    height: Math.max(280, Math.min(innerHeight - 340, 900)),
    hovermode: "x unified",
    font: { size: rem(0.93), color: colour("text-soft"), family: getComputedStyle(document.body).fontFamily },
    showlegend: traces.length > 1,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { ...TIME_AXIS, fixedrange: true, nticks: Math.max(3, Math.min(8, Math.floor(innerWidth / 130))) },
    yaxis: { range: [0, top * 1.08], fixedrange: true, ...byteTicks(top * 1.08) },
    margin: { l: 8, r: 16, t: 12, b: 8 },
    dragmode: false,
  });
}

function trace(line, paint, alone) {
  return {
    name: chartName(line.word, innerWidth < 600 ? 28 : 60),
    x: line.points.map((point) => localTime(point.unixMs)),
    y: line.points.map((point) => point.bytes),
    text: line.points.map((point) => bytes(point.bytes)),
    hovertemplate: "%{text}",
    mode: "lines",
    line: { color: colour(paint), width: 3, shape: "spline", smoothing: 0.4 },
    ...(alone ? { fill: "tozeroy", fillcolor: colour("series-live-wash") } : {}),
  };
}

function limitLine(limit, points) {
  const ends = [points[0], points.at(-1)];
  return {
    name: "limit",
    x: ends.map((point) => localTime(point.unixMs)),
    y: [limit, limit],
    text: ends.map(() => bytes(limit)),
    hovertemplate: "%{text}",
    mode: "lines",
    line: { color: colour("red"), width: 2, dash: "dash" },
  };
}

followTheme(byId("theme"), update);
followStatus(feed);
feed.addEventListener("picture", update);
feed.start();
