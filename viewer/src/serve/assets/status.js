// The connection in words: live, or since when it is not and how old the data is.

import { byId, setAttribute, setText } from "./dom.js";
import { ago, things } from "./units.js";

/** Keeps the line about the connection right. */
export function followStatus(feed) {
  const show = () => {
    const [kind, text] = words(feed);
    setAttribute(byId("status"), "data-kind", kind);
    setText(byId("status-text"), text);
    byId("status-retry").hidden = feed.status !== "waiting";
    setAttribute(document.documentElement, "data-stale", kind === "live" ? null : "");
  };
  byId("status-retry").addEventListener("click", () => feed.retry());
  feed.addEventListener("status", show);
  feed.addEventListener("picture", show);
  setInterval(show, 1000);
  show();
}

function words(feed) {
  const age = feed.picture ? Date.now() - feed.receivedAt : null;
  const data = age === null ? "no data yet" : `data from ${ago(age)}`;
  if (feed.refused) return ["lost", "The server wants its token: open the address that plimsoll serve prints"];
  if (feed.status === "waiting") {
    const left = Math.max(0, Math.round((feed.nextTryAt - Date.now()) / 1000));
    return ["lost", `Disconnected · ${data} · next try ${left === 0 ? "now" : `in ${left} s`}`];
  }
  if (feed.status === "connecting" || !feed.picture)
    return [feed.picture ? "lost" : "connecting", `Connecting … ${data}`];
  const every = feed.hello?.every_ms ?? 1000;
  const left = feed.lagged > 0 ? ` · ${things(feed.lagged, "update")} left out, this page was too slow` : "";
  return age > 3 * every + 1000 ? ["late", `Late · ${data}${left}`] : ["live", `Live${left}`];
}
