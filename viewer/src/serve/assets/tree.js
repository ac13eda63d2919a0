// Stacks put together to the tree that the flame graph shows. Pure: sites in, nodes out.

import { chartName } from "./dom.js";

/** Nodes narrower than this share of the whole cannot be seen, and are not drawn. */
const NARROWEST = 0.002;
const DEEPEST = 1000;

/** The tree of sites: `width(site)` is how wide one is, `{value, low, high}`; `more` is added up for its colour. */
export function tree(sites, width, more = () => 0) {
  const root = node("all", null);
  for (const site of sites) {
    const measure = width(site);
    if (!measure || !(measure.value > 0)) continue;
    const calls = site.frames.length > 0 ? [...site.frames].reverse() : [{ function: site.name }];
    let place = add(root, measure, more(site));
    for (const frame of calls.slice(0, DEEPEST)) {
      const name = frame.function ?? frame.module ?? "unknown";
      if (!place.children.has(name)) place.children.set(name, node(name, frame));
      place = add(place.children.get(name), measure, more(site));
    }
  }
  return root;
}

function node(name, frame) {
  return { name, frame, value: 0, low: 0, high: 0, more: 0, children: new Map() };
}

function add(place, measure, more) {
  place.value += measure.value;
  place.low += measure.low ?? 0;
  place.high = place.high === null || measure.high === null ? null : place.high + measure.high;
  place.more += more;
  return place;
}

/** Ids of nodes that stay the same from one tree to the next, so that what is zoomed into stays so. */
export class Ids {
  #known = new Map();

  /** The id of a child. */
  of(parent, name) {
    const path = `${parent} ${name}`;
    if (!this.#known.has(path)) this.#known.set(path, String(this.#known.size + 1));
    return this.#known.get(path);
  }
}

/** The crate of a function: `tokio` of `<tokio::task::Task<T> as …>::poll`. */
export function crate(name) {
  return /^<*&?(?:dyn |mut )?([A-Za-z0-9_]+)::/.exec(name)?.[1] ?? "";
}

/**
 * The tree with runs of calls within one crate, without a branch, made one: the innermost stands for them. Async stacks
 * are mostly such runs.
 */
export function folded(place) {
  let [inner, calls] = [place, 1];
  for (
    let [only, other] = inner.children.values();
    isRun(inner, only, other);
    [only, other] = inner.children.values()
  ) {
    [inner, calls] = [only, calls + 1];
  }
  const children = [...inner.children].map(([name, child]) => [name, folded(child)]);
  return { ...inner, calls, children: new Map(children) };
}

function isRun(place, only, other) {
  return place.frame && only && !other && only.value === place.value && crate(place.name) === crate(only.name);
}

/** The tree as the lists that the chart library takes, and how deep it is. */
export function lists(root, ids) {
  const all = { ids: [], parents: [], labels: [], values: [], nodes: [], depth: 0 };
  const walk = (place, id, parent, depth) => {
    all.depth = Math.max(all.depth, depth);
    all.ids.push(id);
    all.parents.push(parent);
    all.labels.push(chartName(place.name) + (place.calls > 1 ? ` (+${place.calls - 1})` : ""));
    all.values.push(place.value);
    all.nodes.push(place);
    const wide = [...place.children.values()].filter((child) => child.value >= root.value * NARROWEST);
    wide
      .sort((one, other) => other.value - one.value)
      .forEach((child) => walk(child, ids.of(id, child.name), id, depth + 1));
  };
  walk(root, "0", "", 1);
  return all;
}
