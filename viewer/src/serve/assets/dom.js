// The only place that makes elements. Text becomes text nodes, never markup: names in captures are hostile.

/** Makes an element. Of the attributes `on` holds listeners; `null`, `undefined` and `false` leave one out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      Object.entries(value).forEach(([event, listener]) => node.addEventListener(event, listener));
    } else {
      setAttribute(node, name, value);
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets an attribute when it is not so yet; `null`, `undefined` and `false` remove it. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/** Sets a node's text when it is not so yet, so that what is selected or focused stays so. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** An element of the page by its id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Shows or hides. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** A name from a capture or the system, with what cannot be seen or turns the text around written out. */
export function name(text, most = 400) {
  const shown = String(text ?? "").replace(INVISIBLE, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
  return shown.length > most ? `${shown.slice(0, most - 1)}…` : shown;
}

/** The same for the chart library, which reads some tags in its texts. */
export function chartName(text, most = 120) {
  return name(text, most).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Brings the children of a parent in line with a list: one node for each key, made once, kept, moved where needed. */
export function keyed(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = known.get(key);
    known.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    if (node === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(node, place);
    }
    update(node, item);
  }
  known.forEach((node) => node.remove());
}
