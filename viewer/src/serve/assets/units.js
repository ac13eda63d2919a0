// Numbers with their units, written as the command line writes them. Estimates never come without their error.

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** How often 1024 goes into a value, so that three digits before the point are enough: 1023.7 KiB is 1.00 MiB. */
function byteUnit(value) {
  let unit = 0;
  let scaled = value;
  while ((scaled >= 1024 || (unit > 0 && scaled >= 999.5)) && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return unit;
}

function threeDigits(value) {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

function inUnit(value, unit) {
  return unit === 0 ? String(Math.round(value)) : threeDigits(value / 1024 ** unit);
}

/** `777 B`, `1.50 KiB`, `64.0 MiB`. */
export function bytes(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const unit = byteUnit(value);
  return `${inUnit(value, unit)} ${BYTE_UNITS[unit]}`;
}

/** `+12.0 MiB`, `−4.00 KiB`, `0 B`. */
export function signedBytes(value) {
  if (value === null || value === undefined) return "–";
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${bytes(Math.abs(value))}`;
}

/** `1,234,567`. */
export function count(value) {
  if (value === null || value === undefined) return "–";
  return Math.round(value).toLocaleString("en-US");
}

/** `1 site`, `2,000 sites`. */
export function things(number, name) {
  return `${count(number)} ${name}${number === 1 ? "" : "s"}`;
}

/** `350 ns`, `12.3 µs`, `4.20 s`, `1 min 30 s`, `2 h 05 min`, `3 d 04 h`. */
export function duration(ns) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const whole = Math.floor(ns / 1e9);
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${threeDigits(ns / 1e3)} µs`;
  if (ns < 1e9) return `${threeDigits(ns / 1e6)} ms`;
  if (whole < 60) return `${threeDigits(ns / 1e9)} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${two((whole % 86400) / 3600)} h`;
}

/** A duration of seconds; longer than a century is never. */
export function seconds(value) {
  return value < 3.15576e9 ? duration(value * 1e9) : "never";
}

/** How long ago something was, without false precision: `now`, `4 s`, `1 min 30 s`. */
export function ago(ms) {
  return ms < 1500 ? "now" : `${duration(Math.round(ms / 1000) * 1e9).replace(/\.\d+ s$/, " s")} ago`;
}

/** `98 %`, `< 1 %` of a limit. */
export function roundShare(part, whole) {
  const percent = (part / whole) * 100;
  return percent > 0 && percent < 1 ? "< 1 %" : `${Math.round(percent)} %`;
}

/** `98.8 %` of a whole; empty when there is no whole. */
export function share(part, whole) {
  if (!whole) return "";
  const percent = (part / whole) * 100;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}

/** The larger side of the error: `null` for exact numbers, infinite when nothing bounds it above. */
function errorOf(measure) {
  if (measure.low === measure.value && measure.high === measure.value) return null;
  if (measure.high === null) return Infinity;
  return Math.max(measure.high - measure.value, measure.value - measure.low);
}

/** Bytes with their error: `64.0 MiB`, `64.0 MiB ± 3.1`, `64.0 MiB (at least 62.0 MiB)`. */
export function measuredBytes(measure) {
  if (!measure) return "–";
  const value = bytes(measure.value);
  const error = errorOf(measure);
  if (error === null) return value;
  if (error === Infinity) return `${value} (at least ${bytes(measure.low)})`;
  const unit = byteUnit(measure.value);
  const sameUnit = inUnit(error, unit);
  // A small error would read 0.00 in the unit of a large value, and a large one have too many digits in that of a small one.
  const readable = unit >= byteUnit(error) && /[1-9]/.test(sameUnit);
  return readable ? `${value} ± ${sameUnit}` : `${value} ± ${bytes(error)}`;
}

/** A number of things with its error: `1,000`, `1,000 ± 60`. */
export function measuredCount(measure) {
  if (!measure) return "–";
  const error = errorOf(measure);
  if (error === null) return count(measure.value);
  return error === Infinity
    ? `${count(measure.value)} (at least ${count(measure.low)})`
    : `${count(measure.value)} ± ${count(error)}`;
}

/** `1.20 MiB/s ± 0.10`. */
export function measuredRate(measure) {
  if (!measure) return "–";
  const [value, error] = measuredBytes(measure).split(" ± ");
  return error === undefined ? `${value}/s` : `${value}/s ± ${error}`;
}

/** A time to come with its interval: `7 min 00 s (5 min 00 s … 10 min 00 s)`. */
export function measuredSeconds(measure) {
  const high = measure.high === null ? "never" : seconds(measure.high);
  return `${seconds(measure.value)} (${seconds(measure.low)} … ${high})`;
}

/** A moment since the session's start, to the tenth of a second where that tells anything: `42.5 s`, `1 min 30 s`. */
export function moment(ms) {
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms * 1e6);
}

/** A time of day by this clock: `14:03:27`. */
export function timeOfDay(unixMs) {
  return new Date(unixMs).toTimeString().slice(0, 8);
}

/** A date and a time by this clock: `2026-11-23 14:03:27`. */
export function dateAndTime(unixMs) {
  return new Date(unixMs - new Date(unixMs).getTimezoneOffset() * 60000).toISOString().slice(0, 19).replace("T", " ");
}

/** Milliseconds of `90`, `90s`, `1m30s`, `2h`, `1 min 30 s`; `null` for what is none of these. */
export function parseMoment(text) {
  const plain = text.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(plain)) return Number(plain) * 1000;
  const scale = { ms: 1, s: 1e3, m: 6e4, min: 6e4, h: 3.6e6, d: 8.64e7 };
  const parts = [...plain.matchAll(/(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d)\s*/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== plain) return null;
  return parts.reduce((sum, part) => sum + Number(part[1]) * scale[part[2]], 0);
}
