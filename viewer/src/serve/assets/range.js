// The selected range of time: dragged on the timeline or written by hand. Everything below the timeline follows it.

import { byId, show } from "./dom.js";
import { moment, parseMoment } from "./units.js";

/** The form beside the timeline. */
export class Range {
  /** `{from, to}` in milliseconds since the session's start, or `null`: everything until now. */
  chosen = null;
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    byId("range").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#read();
    });
    byId("range-clear").addEventListener("click", () => this.set(null));
    this.#show();
  }

  /** Another range, or none. */
  set(range) {
    this.chosen = range;
    this.#show();
    this.#onChange(range);
  }

  #read() {
    const [from, to] = ["range-from", "range-to"].map((id) => parseMoment(byId(id).value));
    const bad = from === null || to === null || to <= from;
    byId("range-error").textContent = bad
      ? "Two times since the start such as 30s and 1m30s, the first one earlier."
      : "";
    if (!bad) this.set({ from: Math.round(from), to: Math.round(to) });
  }

  #show() {
    const { chosen } = this;
    byId("range-error").textContent = "";
    byId("range-from").value = chosen ? moment(chosen.from) : "";
    byId("range-to").value = chosen ? moment(chosen.to) : "";
    byId("range-text").textContent = chosen
      ? `Shown below: what was allocated within these ${moment(chosen.to - chosen.from)}, live as of their end.`
      : "Shown below: everything until now. Drag over the timeline to look at a part of it.";
    show(byId("range-clear"), chosen !== null);
    document.documentElement.toggleAttribute("data-range", chosen !== null);
  }
}
