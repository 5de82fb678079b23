/** What the user must hear of: errors with their cure until they are dismissed, news for a few seconds. */

import { byId, element, iconButton } from "./dom.js";

const NEWS_MS = 5000;

/**
 * @param {Error & {code?: string}} error  its message holds the cure
 * @param {{label: string, run: () => void}} [cure]  what a click can do about it
 */
export function showError(error, cure) {
  const heading = error.code ? `${capitalised(error.code.replaceAll("_", " "))}:` : "That did not work.";
  show(element("div", { class: "notice error", role: "alert", "data-code": error.code ?? "" },
    element("p", {}, element("strong", {}, heading), " ", error.message),
    cure ? element("button", { type: "button", onclick: cure.run }, cure.label) : ""));
}

export function showWarning(text) {
  show(element("div", { class: "notice warning", role: "status" }, element("p", {}, text)));
}

export function showNews(text) {
  const notice = element("div", { class: "notice news", role: "status" }, element("p", {}, text));
  show(notice);
  setTimeout(() => notice.remove(), NEWS_MS);
}

/** Errors of an attempt are over when the next one begins. */
export function dismissErrors() {
  byId("notices").querySelectorAll(".error, .warning").forEach((notice) => notice.remove());
}

/** Run something whose failure the user must hear of. */
export async function reportErrors(action) {
  try {
    return await action();
  } catch (error) {
    showError(error);
    if (!error.code) console.warn(error);
    return undefined;
  }
}

function show(notice) {
  const same = [...byId("notices").children].find((other) => other.textContent === notice.textContent);
  same?.remove();
  notice.append(iconButton("close", "Dismiss", () => notice.remove()));
  byId("notices").append(notice);
}

const capitalised = (text) => text[0].toUpperCase() + text.slice(1);
