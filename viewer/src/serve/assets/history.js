// How the memory of each process went, for the simple page: of captures as the server has it, of other processes as
// it came while this page was open.

const POINTS = 1000;

/** Points of processes that have no capture. */
export class History {
  #seen = new Map();

  /** Notes what a picture says of processes without a capture. */
  take(picture, subjects, receivedAt) {
    const unixMs = picture.system.timestamp_unix_ms ?? receivedAt;
    const alone = subjects.filter((subject) => subject.process && subject.bytes !== null);
    for (const subject of alone) {
      const points = this.#seen.get(subject.key) ?? [];
      if (points.at(-1)?.unixMs !== unixMs) points.push({ unixMs, bytes: subject.bytes });
      this.#seen.set(subject.key, points.slice(-POINTS));
    }
    const keys = new Set(subjects.map((subject) => subject.key));
    [...this.#seen.keys()].filter((key) => !keys.has(key)).forEach((key) => this.#seen.delete(key));
  }

  /** `{unixMs, bytes}` of a subject, oldest first. */
  points(subject, picture) {
    if (!subject.capture) return this.#seen.get(subject.key) ?? [];
    const { id, started_unix_ms: started } = subject.capture;
    const recent = picture.series.get(id)?.recent ?? [];
    return recent
      .filter((point) => point.rss_bytes !== null)
      .map((point) => ({ unixMs: started + point.at_ms, bytes: point.rss_bytes }));
  }
}
