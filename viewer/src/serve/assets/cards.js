// The cards: one for each capture, for each process without one, for all together and for the machine.

import { el, keyed, name, setAttribute, setText } from "./dom.js";
import { makeChip, makeStrip, updateChip, updateLevel, updateStrip } from "./strip.js";
import { bytes, measuredBytes, signedBytes } from "./units.js";
import { STATES, isLive, losses } from "./words.js";

/** Captures as they are shown: those of running processes first, then the newest. */
export function ordered(captures) {
  const rank = (capture) => (isLive(capture.state) ? 0 : 1);
  return [...captures.values()].sort(
    (one, other) =>
      rank(one) - rank(other) || other.started_unix_ms - one.started_unix_ms || one.id.localeCompare(other.id),
  );
}

/** What the cards show of a picture, as one list. */
function entries(picture) {
  const captures = ordered(picture.captures).map((capture) => ({ kind: "capture", key: `c ${capture.id}`, capture }));
  const alone = picture.processes
    .filter((process) => process.capture === null)
    .map((process) => ({ kind: "process", key: `p ${process.pid} ${process.name}`, process }));
  const several = picture.processes.length > 1 ? [{ kind: "sum", key: "sum", sum: picture.sum }] : [];
  return [...captures, ...alone, ...several, { kind: "system", key: "system", system: picture.system }];
}

/** Shows the cards of a picture. `select` is called with a capture's id. */
export function showCards(parent, picture, selected, select) {
  const make = (entry) => (entry.kind === "capture" ? makeCaptureCard(entry.capture, select) : makeCard("div"));
  keyed(
    parent,
    entries(picture),
    (entry) => entry.key,
    make,
    (card, entry) => {
      if (entry.kind === "capture") updateCapture(card, entry.capture, entry.capture.id === selected);
      if (entry.kind === "process") updateProcess(card, entry.process);
      if (entry.kind === "sum") updateSum(card, entry.sum);
      if (entry.kind === "system") updateSystem(card, entry.system);
    },
  );
}

function makeCaptureCard(capture, select) {
  const card = makeCard("button");
  card.type = "button";
  card.addEventListener("click", () => select(capture.id));
  return card;
}

function makeCard(tag) {
  const parts = {
    title: el("span", { class: "card-title" }),
    state: makeChip(),
    level: makeChip(),
    now: el("span", { class: "card-now" }),
    of: el("span", { class: "card-of" }),
    strip: makeStrip(),
    lines: el("span", { class: "card-lines" }),
  };
  const card = el(
    tag,
    { class: "card", role: tag === "div" ? "group" : null },
    el("span", { class: "card-head" }, parts.title, parts.state),
    el("span", { class: "card-figure" }, parts.now, parts.strip, parts.of),
    el("span", { class: "card-foot" }, parts.level, parts.lines),
  );
  card.parts = parts;
  return card;
}

function lines(card, texts) {
  keyed(
    card.parts.lines,
    texts.filter(Boolean).map((text, at) => ({ text, at })),
    (line) => line.at,
    () => el("span", { class: "card-line" }),
    (node, line) => setText(node, line.text),
  );
}

function figure(card, now, of, strip, what) {
  setText(card.parts.now, now);
  setText(card.parts.of, of);
  updateStrip(card.parts.strip, strip, what);
}

function title(card, text, hover) {
  setText(card.parts.title, name(text, 80));
  setAttribute(card.parts.title, "title", name(hover));
}

function updateCapture(card, capture, selected) {
  const { parts } = card;
  title(card, capture.program || "not begun", capture.path);
  setAttribute(card, "aria-pressed", String(selected));
  setAttribute(card, "data-capture", capture.id);
  setAttribute(card, "data-state", capture.state);
  updateChip(parts.state, STATES, capture.state);
  updateLevel(parts.level, isLive(capture.state) ? capture.level : null, capture.limit);
  const rss = capture.rss_bytes ?? null;
  figure(
    card,
    bytes(rss),
    [rss === null ? null : `peak ${bytes(capture.rss_strip.peak_bytes)}`, capture.pid ? `process ${capture.pid}` : null]
      .filter(Boolean)
      .join(" · "),
    capture.rss_strip,
    "Resident memory",
  );
  const trend = capture.trend?.live_bytes ?? null;
  const over = trend === null ? "" : ` (${signedBytes(trend)} in ${Math.round(capture.trend.over_ms / 1000)} s)`;
  const lost = losses(capture.lost);
  lines(card, [
    capture.live_bytes && `heap ${measuredBytes(capture.live_bytes)}${isLive(capture.state) ? over : ""}`,
    capture.look
      ? name(capture.look.sentence, 160)
      : isLive(capture.state) && capture.live_bytes
        ? "sites are being looked at …"
        : null,
    lost.length > 0 && `⚠ lossy: ${lost.join(", ")}`,
    capture.behind_bytes > 0 && `catching up: ${bytes(capture.behind_bytes)} still to be read`,
  ]);
}

function updateProcess(card, process) {
  title(card, process.name, process.command);
  updateChip(
    card.parts.state,
    { gone: { sign: "■", word: "gone", text: "The process has gone." } },
    process.gone ? "gone" : null,
  );
  updateLevel(card.parts.level, process.level, process.limit);
  const readable = process.memory_bytes !== null;
  figure(
    card,
    readable ? bytes(process.memory_bytes) : "–",
    `${readable ? `peak ${bytes(process.strip.peak_bytes)} · ` : ""}process ${process.pid}`,
    process.strip,
    "Resident memory",
  );
  const cpu = process.cpu_percent === null ? null : `CPU ${process.cpu_percent.toFixed(1)} %`;
  lines(card, [
    readable ? null : `Memory: error (${name(process.memory_error, 120)})`,
    cpu,
    "without the profiler: memory and CPU only",
  ]);
}

function updateSum(card, sum) {
  title(card, "All processes", "Their resident sets together; shared pages count for each.");
  card.parts.state.hidden = true;
  updateLevel(card.parts.level, sum.level, null);
  figure(card, bytes(sum.rss_bytes), `peak ${bytes(sum.strip.peak_bytes)}`, sum.strip, "Resident memory of all");
  const unreadable = sum.unreadable > 0 ? `, ${sum.unreadable} not readable` : "";
  lines(card, [`${sum.processes} processes${unreadable}`, `CPU ${sum.cpu_percent.toFixed(1)} %`]);
}

function updateSystem(card, system) {
  title(card, "This machine", "");
  card.parts.state.hidden = true;
  const limit = { bytes: system.total_bytes, used_bytes: system.used_bytes, of: "system" };
  updateLevel(card.parts.level, system.level, system.total_bytes > 0 ? limit : null);
  figure(card, bytes(system.used_bytes), `of ${bytes(system.total_bytes)}`, system.strip, "Memory in use");
  const swap =
    system.swap_total_bytes > 0
      ? `swap ${bytes(system.swap_total_bytes - system.swap_free_bytes)} of ${bytes(system.swap_total_bytes)}`
      : null;
  const load = system.load ? `load ${system.load.map((one) => one.toFixed(2)).join(" ")}` : null;
  lines(card, [load, swap]);
}
