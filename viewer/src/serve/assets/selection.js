// Which capture is shown: the one that was clicked, else the first; and a service that comes back is shown again.

import { byId, name, show } from "./dom.js";
import { isLive } from "./words.js";

/** The chosen capture. */
export class Selection {
  #id = null;
  /** Whether the chosen one was live when it was chosen: then its service is followed, not that file. */
  #follows = true;
  #onChange;
  #captures = [];

  /** `onChange` is called after another capture is chosen, with what to announce when it was not by hand. */
  constructor(onChange) {
    this.#onChange = onChange;
    byId("back-show").addEventListener("click", () => this.choose(byId("back-show").dataset.capture));
  }

  /** Shows a capture. */
  choose(id) {
    this.#id = id;
    const chosen = this.#captures.find((capture) => capture.id === id);
    this.#follows = chosen ? isLive(chosen.state) : true;
    this.#onChange(null);
  }

  /** The capture to show of these; `busy` says that a range of the present one is looked at. */
  update(captures, busy) {
    this.#captures = captures;
    const present = captures.find((capture) => capture.id === this.#id) ?? captures[0];
    this.#id = present?.id ?? null;
    const next = successor(present, captures);
    const offered = next && (busy || !this.#follows);
    show(byId("back"), Boolean(offered));
    if (!next) return present;
    const text = `${name(next.program, 80)} is back as process ${next.pid}.`;
    byId("back-text").textContent = text;
    byId("back-show").dataset.capture = next.id;
    if (offered) return present;
    this.#id = next.id;
    queueMicrotask(() => this.#onChange(text));
    return next;
  }
}

/** The capture of a service that was started again after this one ended. */
function successor(present, captures) {
  if (!present || isLive(present.state)) return null;
  return captures.find(
    (capture) =>
      isLive(capture.state) && capture.program === present.program && capture.started_unix_ms > present.started_unix_ms,
  );
}
