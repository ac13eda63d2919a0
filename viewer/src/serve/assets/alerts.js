// Alerts: those that are raised, and those that were while this page is open.

import { byId, el, keyed, name, setAttribute, setText } from "./dom.js";
import { makeChip, updateChip } from "./strip.js";
import { timeOfDay } from "./units.js";
import { LEVELS } from "./words.js";

const PAST = 20;
const CLEARED = { cleared: { sign: "✓", word: "cleared", text: "This alert is over." } };

/** The list of alerts. */
export class Alerts {
  #active = new Map();
  #past = [];

  /** Shows the alerts of a picture. */
  update(alerts) {
    const now = new Map(alerts.map((alert) => [`${alert.rule} ${alert.subject}`, alert]));
    for (const [key, alert] of now) {
      if (!this.#active.has(key)) byId("announce").textContent = `Alert: ${name(alert.title, 120)}`;
    }
    for (const [key, alert] of this.#active) {
      if (!now.has(key)) this.#past.unshift({ ...alert, cleared: Date.now() });
    }
    this.#past = this.#past.slice(0, PAST);
    this.#active = now;
    const shown = [...now.values(), ...this.#past];
    keyed(byId("alerts-list"), shown, (alert) => `${alert.rule} ${alert.subject} ${alert.cleared ?? ""}`, make, update);
    setText(byId("alerts-count"), now.size === 0 ? "none" : String(now.size));
    setAttribute(byId("alerts"), "data-level", worst(alerts));
    byId("alerts-empty").hidden = shown.length > 0;
  }
}

function worst(alerts) {
  return ["red", "yellow"].find((level) => alerts.some((alert) => alert.level === level)) ?? null;
}

function make() {
  const chip = makeChip();
  const [title, text, time] = [
    el("span", { class: "alert-title" }),
    el("span", { class: "alert-text" }),
    el("span", { class: "alert-time" }),
  ];
  const item = el("li", {}, chip, el("span", { class: "alert-body" }, title, text, time));
  item.parts = { chip, title, text, time };
  return item;
}

function update(item, alert) {
  const { chip, title, text, time } = item.parts;
  updateChip(chip, alert.cleared ? CLEARED : LEVELS, alert.cleared ? "cleared" : alert.level);
  setText(title, name(alert.title, 160));
  setText(text, name(alert.text));
  const since = timeOfDay(alert.since_unix_ms);
  setText(time, alert.cleared ? `${since} to ${timeOfDay(alert.cleared)}` : `since ${since}`);
}
