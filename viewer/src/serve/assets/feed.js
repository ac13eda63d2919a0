// The live feed: one WebSocket, kept up. Holds the newest picture, puts deltas together, connects again with growing
// pauses and goes on where it was.

import { dropToken, token } from "./api.js";

const RECENT_POINTS = 1000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15000;
/** What the server closes with when the token is wrong or missing. */
const REFUSED = 1008;

/** Tells `picture` when there is a new one, and `status` when the connection changes. */
export class Feed extends EventTarget {
  /** `connecting`, `open`, `waiting` (for the next try). */
  status = "connecting";
  /** What the server said of itself. */
  hello = null;
  /** The newest picture: system, sum, processes, captures by id, alerts, series by id. */
  picture = null;
  /** When that came, by this clock. */
  receivedAt = 0;
  /** When the next try is, by this clock. */
  nextTryAt = 0;
  /** Whether the server wants a token that this page does not have. */
  refused = false;
  /** Updates that the server left out since this page was too slow. */
  lagged = 0;

  #socket = null;
  #pause = FIRST_PAUSE_MS;
  #timer = 0;
  #gap = false;

  /** Connects, and stays so. */
  start() {
    this.#connect();
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.retry());
    setInterval(() => this.#watch(), 1000);
  }

  /** Tries at once when it waits for the next try. */
  retry() {
    if (this.status === "waiting") this.#connect();
  }

  #set(status) {
    this.status = status;
    this.dispatchEvent(new Event("status"));
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#set("connecting");
    const address = new URL("/ws", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.receivedSince = Date.now();
    socket.addEventListener("open", () => this.#greet(socket));
    socket.addEventListener("message", (event) => socket === this.#socket && this.#take(event.data));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event));
  }

  #greet(socket) {
    if (token()) socket.send(JSON.stringify({ type: "token", token: token() }));
    if (this.picture && !this.#gap) socket.send(JSON.stringify({ type: "resume", number: this.picture.number, server: this.hello?.server }));
  }

  /** A server that was started again has another token than this page knows. */
  #closed(event) {
    this.refused = event.code === REFUSED && !token();
    if (event.code === REFUSED) dropToken();
    this.#wait();
  }

  #wait() {
    this.#socket = null;
    const pause = this.#pause * (0.8 + Math.random() * 0.4);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    this.nextTryAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.#connect(), pause);
    this.#set("waiting");
  }

  /** A connection that has gone silent is given up: a cable pulled closes nothing. */
  #watch() {
    const patience = Math.max(10000, 4 * (this.hello?.every_ms ?? 1000));
    if (this.#socket && Date.now() - this.receivedSince > patience) {
      const socket = this.#socket;
      this.#wait();
      socket.close();
    }
  }

  #take(text) {
    this.receivedSince = Date.now();
    const message = JSON.parse(text);
    switch (message.type) {
      case "hello":
        this.hello = message;
        break;
      case "snapshot":
        this.#replace(message);
        break;
      case "delta":
        this.#add(message);
        break;
      case "lagged":
        this.lagged += message.count;
        break;
      default:
        break;
    }
  }

  #replace(snapshot) {
    this.#gap = false;
    const captures = new Map(snapshot.captures.map((capture) => [capture.id, capture]));
    const series = new Map(Object.entries(snapshot.series ?? {}));
    this.#show({ ...snapshot, captures, series });
  }

  #add(delta) {
    if (!this.picture || delta.from !== this.picture.number) {
      // Something is missing in between: begin anew, with a snapshot.
      this.#gap = true;
      this.#socket?.close();
      return;
    }
    const { captures, series } = this.picture;
    delta.captures.forEach((capture) => captures.set(capture.id, capture));
    delta.gone.forEach((id) => {
      captures.delete(id);
      series.delete(id);
    });
    for (const [id, points] of Object.entries(delta.points ?? {})) {
      const known = series.get(id) ?? { recent: [], whole: [] };
      known.recent = [...known.recent, ...points].slice(-RECENT_POINTS);
      series.set(id, known);
    }
    this.#show({ ...delta, captures, series });
  }

  #show(picture) {
    this.picture = { ...picture, alerts: picture.alerts ?? [] };
    this.receivedAt = Date.now();
    this.refused = false;
    this.#pause = FIRST_PAUSE_MS;
    if (this.status !== "open") this.#set("open");
    this.dispatchEvent(new Event("picture"));
  }
}
