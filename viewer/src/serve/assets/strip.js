// The ten-bar strip as text: each bar in its own level's colour, the words for those who see no colours.

import { el, setAttribute, setText } from "./dom.js";
import { bytes, roundShare } from "./units.js";
import { LEVELS, LIMITS } from "./words.js";

const BARS = 10;

/** An empty strip. */
export function makeStrip() {
  return el(
    "span",
    { class: "strip", role: "img" },
    Array.from({ length: BARS }, () => el("span", { class: "bar" })),
  );
}

/** Shows the newest ten samples. */
export function updateStrip(node, strip, what) {
  const bars = [...(strip?.bars ?? "")];
  [...node.children].forEach((bar, at) => {
    setText(bar, bars[at] ?? " ");
    setAttribute(bar, "data-level", strip?.levels?.[at] ?? null);
  });
  const now = strip?.current_bytes ?? null;
  setAttribute(
    node,
    "aria-label",
    now === null ? `${what}: no samples yet` : `${what}: ${bytes(now)} now, peak ${bytes(strip.peak_bytes)}`,
  );
}

/** A level as a coloured sign with its word. */
export function makeChip() {
  return el(
    "span",
    { class: "chip" },
    el("span", { class: "sign", "aria-hidden": "true" }),
    el("span", { class: "word" }),
  );
}

/** Shows one of the tables of words in a chip. */
export function updateChip(chip, table, key) {
  const entry = table[key];
  chip.hidden = !entry;
  if (!entry) return;
  setText(chip.children[0], entry.sign);
  setText(chip.children[1], entry.word);
  setAttribute(chip, "data-kind", key);
  setAttribute(chip, "title", entry.text);
}

/** The chip of a level, with the share of the limit. */
export function updateLevel(chip, level, limit) {
  updateChip(chip, LEVELS, level);
  if (level && limit?.bytes) {
    setText(chip.children[1], `${LEVELS[level].word} · ${roundShare(limit.used_bytes, limit.bytes)}`);
    setAttribute(
      chip,
      "title",
      `${bytes(limit.used_bytes)} of ${bytes(limit.bytes)} (${LIMITS[limit.of]}): ${LEVELS[level].text}`,
    );
  }
}
