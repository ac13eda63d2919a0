// Requests to the server: the token, errors as one line, and no more at once than the server takes.

const TOKEN = "plimsoll-token";
const AT_ONCE = 2;
const TRIES = 4;

/** Moves the token from the address, where it would be seen and bookmarked, into this tab's storage. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("t");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
}

/** The token, or `null`. */
export function token() {
  return sessionStorage.getItem(TOKEN);
}

/** Forgets a token that the server does not take. */
export function dropToken() {
  sessionStorage.removeItem(TOKEN);
}

let running = 0;
const waiting = [];

async function turn() {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  running += 1;
}

function done() {
  running -= 1;
  waiting.shift()?.();
}

function authorization() {
  return token() ? { Authorization: `Bearer ${token()}` } : {};
}

async function errorOf(response) {
  const body = await response.json().catch(() => null);
  return new Error(body?.error ?? `the server answers ${response.status}`);
}

/** Asks again after a while when the server has too much to do. */
async function patiently(path, options) {
  for (let tried = 1; ; tried += 1) {
    const response = await fetch(path, options);
    if (response.ok) return response;
    const busy = response.status === 429 || response.status === 503;
    if (!busy || tried === TRIES) throw await errorOf(response);
    await new Promise((go) => setTimeout(go, 500 * 2 ** tried));
  }
}

function address(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

async function get(path, parameters, signal, read) {
  await turn();
  try {
    if (signal?.aborted) throw new DOMException("no longer asked for", "AbortError");
    return await read(await patiently(address(path, parameters), { signal, headers: authorization() }));
  } finally {
    done();
  }
}

/** A JSON answer. */
export function getJson(path, parameters = {}, signal = undefined) {
  return get(path, parameters, signal, (response) => response.json());
}

/** A file. */
export function getBlob(path, parameters = {}, signal = undefined) {
  return get(path, parameters, signal, (response) => response.blob());
}

/** A command for a process. */
export async function control(capture, command, value) {
  const body = value === undefined ? { capture, command } : { capture, command, value };
  const headers = { "Content-Type": "application/json", ...authorization() };
  const response = await fetch("/api/control", { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

/** Whether an error only says that the answer is no longer wanted. */
export function isAbort(error) {
  return error?.name === "AbortError";
}
