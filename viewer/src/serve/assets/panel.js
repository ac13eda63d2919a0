// A panel that is filled by a request: waiting, failed and empty states, and only the newest answer counts.

import { isAbort } from "./api.js";
import { el, name, setAttribute } from "./dom.js";

/** Fetches what a panel shows and keeps its note right. */
export class Panel {
  #root;
  #note;
  #asked = null;

  /** `root` is a section with an element of class `note` in it. */
  constructor(root) {
    this.#root = root;
    this.#note = root.querySelector(".note");
  }

  /** Says something instead of showing, or nothing. */
  say(text, kind = "quiet") {
    this.#note.hidden = !text;
    this.#note.textContent = text ?? "";
    setAttribute(this.#note, "data-kind", kind);
  }

  /** Asks with `fetch(signal)` and hands the answer to `fill`, which returns what to say when there is nothing. */
  async load(fetch, fill) {
    this.#asked?.abort();
    const asked = new AbortController();
    this.#asked = asked;
    this.#root.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(asked.signal);
      if (this.#asked === asked) this.say(fill(answer) ?? null);
    } catch (error) {
      if (!isAbort(error) && this.#asked === asked) this.say(name(error.message), "error");
    } finally {
      if (this.#asked === asked) this.#root.removeAttribute("aria-busy");
    }
  }

  /** Takes back what was asked. */
  stop(text) {
    this.#asked?.abort();
    this.#asked = null;
    this.#root.removeAttribute("aria-busy");
    this.say(text);
  }
}

/** A stack, innermost call first. */
export function stack(frames) {
  return el(
    "ol",
    { class: "stack" },
    frames.map((frame) =>
      el(
        "li",
        { class: frame.inlined ? "inlined" : null },
        el("span", { class: "function" }, name(frame.function ?? frame.module ?? "unknown")),
        frame.file && el("span", { class: "place" }, ` ${name(place(frame), 200)}`),
      ),
    ),
  );
}

/** `cache.rs:42`, with the folder before it. */
export function place(frame) {
  const file = String(frame.file).split("/").slice(-3).join("/");
  return frame.line ? `${file}:${frame.line}` : file;
}
