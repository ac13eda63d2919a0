// States, levels and verdicts in words and signs: colour alone never tells anything.

/** What a capture's process is doing. */
export const STATES = {
  waiting: { sign: "◌", word: "waiting", text: "Nothing has been recorded yet. It appears here as soon as it begins." },
  running: { sign: "●", word: "running", text: "Recording." },
  paused: { sign: "❚❚", word: "paused", text: "The program runs; allocations are not recorded for now." },
  ended: { sign: "■", word: "ended", text: "The session was finished in an orderly way." },
  killed: { sign: "✖", word: "killed", text: "The process was killed. Everything up to that moment is here." },
  detached: { sign: "⚠", word: "detached", text: "The profiler gave up; the program may go on without it." },
  truncated: { sign: "⚠", word: "truncated", text: "The file ends in the middle, and its process is not there." },
};

/** How near memory is to its limit. */
export const LEVELS = {
  green: { sign: "●", word: "fine", text: "far from the limit" },
  yellow: { sign: "▲", word: "high", text: "nearing the limit" },
  red: { sign: "◆", word: "critical", text: "close to the limit" },
};

/** What a limit is of. */
export const LIMITS = { cgroup: "of the cgroup", given: "as given", system: "all memory of the machine" };

/** What the evidence says of a site. */
export const VERDICTS = {
  leak: { sign: "▲", word: "leak", text: "grows and does not stop" },
  "too-little-evidence": { sign: "?", word: "unclear", text: "may grow: the capture is too short to tell" },
  bounded: { sign: "▬", word: "bounded", text: "grew, then stopped" },
  "warm-up": { sign: "◔", word: "warm-up", text: "allocated early and kept" },
  churn: { sign: "↻", word: "churn", text: "comes and goes" },
  "one-shot": { sign: "•", word: "one-shot", text: "a few blocks, kept; none came since" },
};

/** Whether more is to come of a capture. */
export function isLive(state) {
  return state === "running" || state === "paused" || state === "waiting";
}

const LOSSES = {
  allocations: "allocations not recorded",
  frees: "frees not recorded",
  short_stacks: "stacks cut short",
  unread_records: "records not readable",
  unread_blocks: "blocks not readable",
  damaged_bytes: "bytes damaged",
  missing_blocks: "blocks missing",
  dropped_segments: "old segments dropped",
};

/** What was lost, each with its number; empty when nothing was. */
export function losses(lost) {
  return Object.entries(LOSSES)
    .filter(([key]) => lost?.[key] > 0)
    .map(([key, word]) => `${lost[key].toLocaleString("en-US")} ${word}`);
}
