// Commands for the process of a capture. Shown only where the server and the process take them, and with a token.

import { control, token } from "./api.js";
import { byId, el, name, show } from "./dom.js";
import { bytes } from "./units.js";

const COMMANDS = [
  { command: "start", word: "Start", title: "Begin a new recording", when: (state) => state === "ended" },
  {
    command: "stop",
    word: "Stop",
    title: "End this recording",
    when: (state) => state === "running" || state === "paused",
  },
  {
    command: "pause",
    word: "Pause",
    title: "Stop recording allocations for now",
    when: (state) => state === "running",
  },
  { command: "resume", word: "Resume", title: "Go on recording allocations", when: (state) => state === "paused" },
  {
    command: "snapshot",
    word: "Snapshot",
    title: "Write all that is known to the capture now",
    when: (state) => state === "running",
  },
  {
    command: "purge",
    word: "Free memory",
    title: "Make the allocator give unused memory back to the system",
    when: () => true,
  },
];

/** The buttons. */
export class Controls {
  #capture = null;
  #buttons = COMMANDS.map((each) => ({ ...each, button: this.#button(each) }));

  constructor() {
    byId("controls-buttons").append(...this.#buttons.map(({ button }) => button));
    byId("mark").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = byId("mark-name");
      if (text.value.trim()) this.#send("mark", text.value.trim()).then(() => (text.value = ""));
    });
  }

  #button({ command, word, title }) {
    return el(
      "button",
      { type: "button", title, "data-command": command, on: { click: () => this.#send(command) } },
      word,
    );
  }

  /** Shows what the process of this capture takes. */
  update(capture, allowed) {
    if (capture?.id !== this.#capture?.id) byId("controls-answer").textContent = "";
    this.#capture = capture;
    const possible = Boolean(allowed && capture?.control && token());
    show(byId("controls"), possible);
    if (!possible) return;
    this.#buttons.forEach(({ button, when }) => show(button, when(capture.state)));
    show(byId("mark"), capture.state === "running" || capture.state === "paused");
  }

  async #send(command, value) {
    const answer = byId("controls-answer");
    const buttons = this.#buttons.map(({ button }) => button);
    answer.removeAttribute("data-kind");
    answer.textContent = "…";
    buttons.forEach((button) => (button.disabled = true));
    try {
      const said = await control(this.#capture.id, command, value);
      const returned = said.rss_returned_bytes;
      const freed = returned === undefined || returned === null ? "" : ` (${bytes(returned)} given back)`;
      answer.textContent = name(said.text).includes("given back") ? name(said.text) : `${name(said.text)}${freed}`;
    } catch (error) {
      answer.textContent = name(error.message);
      answer.dataset.kind = "error";
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  }
}
