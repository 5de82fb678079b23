/** The list of all takes of this session, with undo and redo. */

import { byId, element } from "./dom.js";

/**
 * @param {import("./takes.js").Takes} takes
 * @param {{use: (id: string) => void, describe: (id: string) => {title: string, about: string}}} actions
 */
export function showHistory(takes, { use, describe }) {
  const draw = () => {
    byId("history-list").replaceChildren(...takes.all.map((take) => row(take, takes, use, describe(take.id))));
    byId("history-empty").hidden = takes.all.length > 0;
    byId("undo").disabled = !takes.previous;
    byId("redo").disabled = !takes.next;
  };
  takes.addEventListener("change", draw);
  draw();
}

function row(take, takes, use, { title, about }) {
  const isUsed = take.id === takes.used;
  const created = new Date(take.created);
  return element("li", {},
    element("button", { type: "button", class: "past", "data-take": take.id, "aria-current": isUsed ? "true" : null,
                        onclick: () => use(take.id) },
      element("span", { class: "past-title" }, title),
      element("span", { class: "past-about" }, about, about ? " · " : "",
        element("time", { datetime: take.created }, shortTime(created)))));
}

function shortTime(date) {
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], isToday ? { timeStyle: "short" } : { dateStyle: "short", timeStyle: "short" });
}
