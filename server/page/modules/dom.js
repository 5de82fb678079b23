/** Small helpers for the document. */

/** The element with this id; the page's skeleton is in index.html. */
export const byId = (id) => document.getElementById(id);

/**
 * element("button", {class: "go", onclick: run, "aria-label": "Go"}, "Go")
 * Properties that start with "on" are listeners, false and null leave an attribute out, true makes it empty.
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== ""));
  return node;
}

/** One of the symbols in index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

/** A button that shows a symbol only; `label` is what is read out and shown as its tip. */
export const iconButton = (symbol, label, onclick, attributes = {}) =>
  element("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick, ...attributes },
          icon(symbol));

/** 83.25 s is 1:23.3 */
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
