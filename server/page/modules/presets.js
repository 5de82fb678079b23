/** The styles: a list with search, and the mixture of those that were chosen. */

import { added, presetOf, removed, shares, weighted } from "./blend.js";
import { byId, element, iconButton } from "./dom.js";

/**
 * @typedef {{name: string, title: string, model: string, task: string, description: string, isReady: boolean}} Preset
 * isReady: its model is loaded
 */

export class Presets {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this._store = store;
    /** @type {Preset[]} */
    this.all = [];
    byId("style-search").addEventListener("input", () => this._showList());
    byId("style-search").addEventListener("keydown", (event) => this._onSearchKey(event));
    byId("style-list").addEventListener("keydown", (event) => this._onListKey(event));
    store.watch("mixture", () => this._show());
  }

  /** @param {Omit<Preset, "isReady">[]} presets  @param {string[]} models  those that are loaded; their styles lead */
  load(presets, models) {
    const known = presets.map((preset) => ({ ...preset, isReady: models.includes(preset.model) }));
    this.all = [...known.filter(({ isReady }) => isReady), ...known.filter(({ isReady }) => !isReady)];
    this._show();
  }

  title(name) {
    return this.all.find((preset) => preset.name === name)?.title ?? name;
  }

  /** The mixture in words: "Harp 70 % + Pan flute 30 %". */
  describe(mixture) {
    if (mixture.length < 2) return mixture.map(({ name }) => this.title(name)).join("");
    return shares(mixture).map(({ name, weight }) => `${this.title(name)} ${Math.round(weight * 100)} %`).join(" + ");
  }

  _set(mixture) {
    this._store.set("mixture", mixture);
  }

  _choose(name) {
    const mixture = this._store.get("mixture");
    const isOnly = mixture.length === 1 && mixture[0].name === name;
    this._set(isOnly ? [] : [{ name, weight: 1 }]);
  }

  _toggle(name) {
    const mixture = this._store.get("mixture");
    this._set(mixture.some((part) => part.name === name) ? removed(mixture, name) : added(mixture, name));
  }

  _show() {
    this._showMixture();
    this._showList();
  }

  _showMixture() {
    const mixture = this._store.get("mixture");
    const list = byId("mixture");
    const isSame = list.dataset.names === JSON.stringify(mixture.map(({ name }) => name)) && this.all === this._drawn;
    if (!isSame) {   // a slider that is being dragged must stay the same element
      list.replaceChildren(...mixture.map((part) => this._part(part, mixture.length > 1)));
      list.dataset.names = JSON.stringify(mixture.map(({ name }) => name));
      this._drawn = this.all;
    }
    shares(mixture).forEach(({ weight }, index) => {
      const output = list.children[index].querySelector("output");
      if (output) output.value = `${Math.round(weight * 100)} %`;
    });
    byId("mixture-empty").hidden = mixture.length > 0;
    list.title = presetOf(mixture);
  }

  _part({ name, weight }, isBlend) {
    const title = this.title(name);
    const slider = isBlend && element("input", {
      type: "range", min: 0.05, max: 1, step: 0.05, value: weight, "aria-label": `How much ${title}`,
      oninput: (event) => this._set(weighted(this._store.get("mixture"), name, Number(event.target.value))),
    });
    return element("li", { class: "part" },
      element("span", { class: "part-name" }, title),
      slider || "",
      isBlend ? element("output", {}) : "",
      iconButton("close", `Leave out ${title}`, () => this._set(removed(this._store.get("mixture"), name))));
  }

  _showList() {
    const words = byId("style-search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.all.filter((preset) => {
      const text = `${preset.name} ${preset.title} ${preset.description}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const focused = document.activeElement?.closest?.("#style-list [data-name]");
    const scroll = byId("style-list").scrollTop;
    byId("style-list").replaceChildren(...shown.map((preset) => this._row(preset)));
    byId("style-list").scrollTop = scroll;
    if (focused) this._buttons(focused.dataset.name)[focused.dataset.column]?.focus();
    byId("style-none").hidden = shown.length > 0 || !this.all.length;
    this._giveOneTabStop();
  }

  _row({ name, title, model, task, description, isReady }) {
    const mixture = this._store.get("mixture");
    const isChosen = mixture.some((part) => part.name === name);
    const first = this.all.find((preset) => preset.name === mixture[0]?.name);
    const canBlend = !first || (first.model === model && first.task === task);   // the server refuses the rest
    const choose = element("button", {
      type: "button", class: "style", "aria-pressed": String(isChosen), tabindex: -1, "data-name": name,
      "data-column": 0,
      onclick: (event) => (event.shiftKey ? this._toggle(name) : this._choose(name)),
    },
    element("span", { class: "style-title" }, title),
    element("span", { class: "style-about", title: description }, isReady ? "" : `${model}: `, description));
    const blend = iconButton(isChosen ? "check" : "plus", `${isChosen ? "Take out of" : "Add to"} the blend: ${title}`,
      () => this._toggle(name), { tabindex: -1, "data-name": name, "data-column": 1, disabled: !canBlend });
    return element("li", { class: isChosen ? "chosen" : "" }, choose, blend);
  }

  /** The two buttons of a row. */
  _buttons(name) {
    return byId("style-list").querySelectorAll(`[data-name="${CSS.escape(name)}"]`);
  }

  /** One stop of the tab key for the whole list; the arrows move inside it. */
  _giveOneTabStop() {
    const list = byId("style-list");
    const stop = list.querySelector(".chosen button") ?? list.querySelector("button");
    if (stop) stop.tabIndex = 0;
  }

  _onSearchKey(event) {
    const first = byId("style-list").querySelector("button");
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    } else if (event.key === "Enter" && first) {
      (event.shiftKey ? this._toggle : this._choose).call(this, first.dataset.name);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (event.target.value) {
        event.target.value = "";
        this._showList();
      } else event.target.blur();
    }
  }

  _onListKey(event) {
    const here = event.target.closest("li");
    const column = Number(event.target.dataset.column);
    const to = {
      ArrowDown: here?.nextElementSibling?.children[column],
      ArrowUp: here?.previousElementSibling?.children[column] ?? byId("style-search"),
      ArrowRight: here?.children[1], ArrowLeft: here?.children[0],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    to.focus();
  }
}
