// One sentence on how memory is doing, for people who are no developers.

import { name } from "./dom.js";
import { bytes, roundShare, seconds } from "./units.js";

const LEVEL_WORDS = {
  green: "Memory is fine",
  yellow: "Memory is getting high",
  red: "Memory is nearly used up",
};

/** The sentence for what is shown; `subject` may be all processes together. */
export function sentence(picture, all, subject) {
  if (!subject) return "Nothing is being watched yet. As soon as a program starts, it appears here.";
  const { capture } = subject;
  if (capture && !subject.live)
    return `${name(capture.program, 60)} has ${ENDS[capture.state] ?? "ended"}. Last seen with ${bytes(subject.bytes)}.`;
  const leaking = (capture ? [subject] : all).filter((each) => each.capture?.look?.leaks > 0);
  const start = LEVEL_WORDS[subject.level] ?? "Memory in use";
  return `${start}: ${used(subject)}${growth(subject, leaking)}.`;
}

const ENDS = { killed: "been killed", ended: "ended", detached: "lost its profiler", truncated: "gone without a word" };

function used(subject) {
  const { bytes: total, used_bytes: part } = subject.limit ?? {};
  if (subject.bytes === null) return "it cannot be read";
  return total ? `${bytes(part)} of ${bytes(total)} (${roundShare(part, total)})` : bytes(subject.bytes);
}

function growth(subject, leaking) {
  if (leaking.length > 0) {
    const who = subject.capture ? "it" : leaking.map((each) => name(each.capture.program, 60)).join(" and ");
    return `, but ${who} keeps growing and does not stop${timeLeft(leaking[0].capture)}`;
  }
  const trend = subject.capture?.trend;
  if (!trend || trend.rss_bytes === null || !trend.over_ms) return "";
  const noticeable = Math.abs(trend.rss_bytes) > Math.max(1048576, subject.bytes * 0.02);
  if (!noticeable) return ", steady";
  return `, ${trend.rss_bytes > 0 ? "up" : "down"} ${bytes(Math.abs(trend.rss_bytes))} in the last ${Math.round(trend.over_ms / 1000)} s`;
}

/** How long at the pace of the last minute; only where that is soon enough to matter. */
function timeLeft({ limit, trend }) {
  if (!limit?.bytes || !trend?.over_ms || !(trend.rss_bytes > 0)) return "";
  const left = ((limit.bytes - limit.used_bytes) / trend.rss_bytes) * (trend.over_ms / 1000);
  return left > 0 && left < 30 * 86400 ? `: at the pace of the last minute it is full in about ${seconds(left)}` : "";
}
