// The dashboard: takes each picture of the feed to the parts of the page.

import { Alerts } from "./alerts.js";
import { takeToken } from "./api.js";
import { ordered, showCards } from "./cards.js";
import { Controls } from "./controls.js";
import { byId, el, keyed, name, setAttribute, setText, show } from "./dom.js";
import { Feed } from "./feed.js";
import { Flame } from "./flame.js";
import { Histogram } from "./histogram.js";
import { Leaks } from "./leaks.js";
import { Range } from "./range.js";
import { Selection } from "./selection.js";
import { Sites } from "./sites.js";
import { followStatus } from "./status.js";
import { makeChip, updateChip, updateLevel } from "./strip.js";
import { followTheme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { ago, bytes, dateAndTime, measuredBytes, measuredRate, seconds } from "./units.js";
import { LIMITS, STATES, isLive, losses } from "./words.js";

takeToken();
const feed = new Feed();
const range = new Range(() => changed());
const timeline = new Timeline((chosen) => range.set(chosen));
const panels = [new Leaks(), new Sites(), new Flame(), new Histogram("size"), new Histogram("lifetime")];
const [controls, alerts] = [new Controls(), new Alerts()];
const selection = new Selection((comesBack) => {
  if (comesBack) byId("announce").textContent = comesBack;
  if (range.chosen) range.set(null);
  else changed();
});
const chips = { state: makeChip(), level: makeChip() };
byId("capture-chips").append(chips.state, chips.level);

/** Newer sites of the same capture are asked for after so long at the earliest. */
const PANELS_EVERY_MS = 3000;

/** What the panels show now, and since when; when it changes they ask anew. */
let shown = "";
let shownAt = 0;

function changed() {
  shown = "";
  update();
}

function update() {
  const { picture } = feed;
  if (!picture) return;
  const capture = selection.update(ordered(picture.captures), range.chosen !== null);
  byId("waiting").hidden = true;
  showCards(byId("cards"), picture, capture?.id, (id) => selection.choose(id));
  alerts.update(picture.alerts);
  show(byId("empty"), !capture);
  show(byId("capture"), Boolean(capture));
  if (!capture) return;
  head(capture);
  controls.update(capture, feed.hello?.control);
  timeline.update(capture, picture.series.get(capture.id)?.recent ?? [], range.chosen);
  fillPanels(capture);
}

/** The panels ask again when what is shown has changed, and when there is a newer look at what is shown live. */
function fillPanels(capture) {
  const { chosen } = range;
  const place = `${capture.id} ${chosen ? `${chosen.from} ${chosen.to}` : ""}`;
  const moment = chosen ? "" : (capture.look?.made_unix_ms ?? "");
  const ready = capture.mode !== null && (chosen || capture.look || !isLive(capture.state));
  const now = `${place} ${moment} ${ready}`;
  if (now === shown) return;
  const fresh = shown.startsWith(`${place} `);
  if (fresh && Date.now() - shownAt < PANELS_EVERY_MS) return;
  [shown, shownAt] = [now, Date.now()];
  const asked = ready ? { capture: capture.id, ...(chosen ?? {}) } : null;
  panels.forEach((panel) => panel.show(asked, fresh, capture.at_ms));
}

function head(capture) {
  setText(byId("capture-name"), name(capture.program || "Not begun", 80));
  document.title = `${name(capture.program || "Plimsoll", 40)} – Plimsoll`;
  updateChip(chips.state, STATES, capture.state);
  updateLevel(chips.level, isLive(capture.state) ? capture.level : null, capture.limit);
  setAttribute(byId("capture"), "data-state", capture.state);
  setText(byId("capture-meta"), meta(capture).join(" · "));
  setAttribute(byId("capture-meta"), "title", name(capture.path));
  const notes = notesOf(capture);
  keyed(
    byId("notes"),
    notes,
    (note) => note.key,
    () => el("li"),
    (node, note) => {
      setText(node, note.text);
      setAttribute(node, "data-kind", note.kind);
    },
  );
  figures(capture);
}

function meta(capture) {
  const mode = capture.mode === "sampled" ? `sampled, one in ${bytes(capture.interval_bytes)}` : capture.mode;
  const started = capture.started_unix_ms > 0 ? `started ${dateAndTime(capture.started_unix_ms)}` : null;
  const lasted =
    capture.at_ms > 0 ? `${isLive(capture.state) ? "recorded" : "lasted"} ${seconds(capture.at_ms / 1000)}` : null;
  return [capture.pid ? `process ${capture.pid}` : null, mode, started, lasted].filter(Boolean);
}

/** What a reader must know before the numbers. */
function notesOf(capture) {
  const notes = [];
  if (capture.state !== "running") {
    const reason = capture.reason ? ` ${name(capture.reason)}.` : "";
    notes.push({ key: "state", kind: capture.state, text: `${STATES[capture.state].text}${reason}` });
  }
  const lost = losses(capture.lost);
  if (lost.length > 0)
    notes.push({
      key: "lost",
      kind: "lossy",
      text: `Lossy: ${lost.join(", ")}. Totals still hold; some memory may lack its site.`,
    });
  if (capture.look_error)
    notes.push({ key: "look", kind: "lossy", text: `Sites could not be looked at: ${name(capture.look_error)}` });
  if (capture.behind_bytes > 0)
    notes.push({
      key: "behind",
      kind: "waiting",
      text: `Catching up: ${bytes(capture.behind_bytes)} of the capture are still to be read.`,
    });
  capture.warnings.forEach((warning, at) => notes.push({ key: `warning ${at}`, kind: "lossy", text: name(warning) }));
  return notes;
}

function figures(capture) {
  const { rates, look } = capture;
  const percent = (value, digits) => (value === null ? "–" : `${value.toFixed(digits)} %`);
  const rows = [
    [
      "Resident (RSS)",
      bytes(capture.rss_bytes),
      capture.rss_bytes === null ? "" : `peak ${bytes(capture.rss_strip.peak_bytes)}`,
    ],
    [
      "Live (heap)",
      measuredBytes(capture.live_bytes),
      capture.peak_live_bytes ? `peak ${measuredBytes(capture.peak_live_bytes)}` : "",
    ],
    [
      "Limit",
      capture.limit ? bytes(capture.limit.bytes) : "–",
      capture.limit ? `${LIMITS[capture.limit.of]}, ${bytes(capture.limit.used_bytes)} used` : "",
    ],
    ["Allocated", measuredRate(rates.allocated_bytes_per_s), `freed ${measuredRate(rates.freed_bytes_per_s)}`],
    ["CPU (of one core)", percent(rates.cpu_percent, 1), `of that the profiler ${percent(rates.agent_cpu_percent, 2)}`],
  ];
  keyed(
    byId("figures"),
    rows,
    ([word]) => word,
    makeFigure,
    (node, [, value, small]) => {
      setText(node.children[1], value);
      setText(node.children[2], small);
    },
  );
  const age = look
    ? `Sites as of ${ago(Date.now() - look.made_unix_ms)}; looking took ${seconds(look.took_ms / 1000)}.`
    : "";
  setText(byId("look-age"), range.chosen ? "" : age);
  setText(byId("sentence"), look ? name(look.sentence) : "");
}

function makeFigure([word]) {
  return el("div", { class: "figure" }, el("dt", {}, word), el("dd", { class: "value" }), el("dd", { class: "small" }));
}

function redraw() {
  timeline.redraw();
  panels.forEach((panel) => panel.redraw?.());
}

followTheme(byId("theme"), redraw);
followStatus(feed);
feed.addEventListener("picture", update);
feed.start();
