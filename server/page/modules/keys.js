/** The keyboard: one table of what each key does; the help dialogue shows it and docs/page.md repeats it. */

import { byId, element } from "./dom.js";

const TYPING = "input:not([type=range]):not([type=checkbox]):not([type=button]), textarea, [contenteditable]";

/**
 * @typedef {{keys: string[], shown: string, help: string, run: (event: KeyboardEvent) => void,
 *            alsoTyping?: boolean}} Shortcut  keys: values of KeyboardEvent.key, "Mod+" for ctrl or ⌘, "Shift+"
 */

/** @param {Shortcut[]} shortcuts */
export function listen(shortcuts) {
  const byKey = new Map(shortcuts.flatMap((shortcut) => shortcut.keys.map((key) => [key, shortcut])));
  document.addEventListener("keydown", (event) => {
    const shortcut = byKey.get(nameOf(event));
    if (!shortcut || event.altKey || byId("help").open || belongsToFocus(event, shortcut)) return;
    event.preventDefault();
    shortcut.run(event);
  });
  byId("shortcuts").replaceChildren(...shortcuts.map(({ shown, help }) =>
    element("li", {}, element("span", { class: "keys" }, ...kbds(shown)), element("span", {}, help))));
  document.addEventListener("click", leaveClicked);
  byId("help-open").addEventListener("click", showHelp);
}

export const showHelp = () => byId("help").showModal();

const kbds = (shown) => shown.split(" ").flatMap((key, index) => [index ? " " : "", element("kbd", {}, key)]);

function nameOf({ key, ctrlKey, metaKey, shiftKey }) {
  const isLetter = /^\p{L}$/u.test(key);
  const isNamed = key.length > 1;
  const modifiers = [(ctrlKey || metaKey) && "Mod", shiftKey && (isLetter || isNamed) && "Shift"].filter(Boolean);
  return [...modifiers, isLetter ? key.toLowerCase() : key].join("+");
}

/** A button that was clicked gives the focus back, so that space and enter are the page's again. `detail`: by mouse. */
function leaveClicked({ detail, target }) {
  if (detail) target.closest("button, summary")?.blur();
}

/** Text boxes keep their keys, and what the tab key has led to keeps those that press it. */
function belongsToFocus(event, { alsoTyping }) {
  const focused = document.activeElement;
  if (focused.matches(TYPING)) return !alsoTyping;
  if (event.key.startsWith("Arrow") || event.key === "Home") return focused.matches("[type=range]");
  const isPress = event.key === " " || event.key === "Enter";
  return isPress && focused.matches("button, summary");
}
