/**
 * The knobs of a job. Names, ranges and help are the server's (/retimbre/preset/get); a knob that nobody turned is
 * not sent, so that the style's own value holds, in a blend the mean of the styles'.
 */

import { byId, element, iconButton } from "./dom.js";

/** @typedef {{key: string, type: "i" | "f" | "s", low: number, high: number, value: string, help: string}} Knob */

const SEED = "seed";   // has a box of its own: -1 means a new one each time

export class Knobs {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this._store = store;
    this._knobs = [];
    this._readouts = new Map();
    store.watch("knobs", () => this._refresh());
    const seed = byId("seed");
    seed.addEventListener("input", () => store.set("seed", seed.value.trim()));
    store.watch("seed", (value) => { if (seed.value !== value) seed.value = value; });
    byId("seed-free").addEventListener("click", () => store.set("seed", ""));
  }

  /** @param {Knob[]} knobs  @param {boolean} isStyled  false: the values are of no style that was chosen */
  load(knobs, isStyled) {
    this._knobs = knobs.filter((knob) => knob.key !== SEED).map((knob) => (isStyled ? knob : { ...knob, value: "" }));
    byId("knobs").replaceChildren(...this._knobs.map((knob) => this._row(knob)));
    this._refresh();
  }

  /** Those that were turned, of those that there are. */
  turned() {
    const known = new Set(this._knobs.map(({ key }) => key));
    return Object.fromEntries(Object.entries(this._store.get("knobs")).filter(([key]) => known.has(key)));
  }

  _turn(key, value) {
    const { [key]: _, ...others } = this._store.get("knobs");
    this._store.set("knobs", value === null ? others : { ...others, [key]: value });
  }

  _row(knob) {
    const id = `knob-${knob.key}`;
    const input = hasRange(knob) ? this._slider(knob, id) : this._box(knob, id);
    const readout = element("output", { for: id });
    const reset = iconButton("reset", `${label(knob)}: back to the style's own`, () => this._turn(knob.key, null));
    this._readouts.set(knob.key, { knob, input, readout, reset });
    return element("div", { class: `knob ${hasRange(knob) ? "" : "knob-box"}`, title: knob.help },
      element("label", { for: id }, label(knob)), input, readout, reset,
      element("p", { class: "help", id: `${id}-help` }, knob.help));
  }

  _box(knob, id) {
    const isText = knob.type === "s";
    const read = (text) => (text === "" ? null : isText ? text : Number(text));
    return element("input", { id, type: isText ? "text" : "number", step: "any",
                              placeholder: knob.value || "nothing", "aria-describedby": `${id}-help`,
                              oninput: ({ target }) => this._turn(knob.key, read(target.value)) });
  }

  _slider(knob, id) {
    return element("input", { id, type: "range", min: knob.low, max: knob.high, step: stepOf(knob),
                              "aria-describedby": `${id}-help`,
                              oninput: (event) => this._turn(knob.key, Number(event.target.value)) });
  }

  _refresh() {
    const turned = this._store.get("knobs");
    for (const { knob, input, readout, reset } of this._readouts.values()) {
      const isTurned = knob.key in turned;
      const value = isTurned ? turned[knob.key] : knob.value;
      if (document.activeElement !== input || !isTurned) input.value = shownValue(knob, value, isTurned);
      readout.value = value === "" ? "auto" : String(+Number(value).toFixed(3));
      if (hasRange(knob)) input.setAttribute("aria-valuetext", readout.value);
      reset.hidden = !isTurned;
      input.closest(".knob").classList.toggle("turned", isTurned);
      input.closest(".knob").classList.toggle("auto", value === "");
    }
  }
}

function shownValue(knob, value, isTurned) {
  if (!hasRange(knob)) return isTurned ? value : "";
  return value === "" ? (knob.low + knob.high) / 2 : value;
}

const hasRange = ({ type, low, high }) => type !== "s" && low < high;

const label = ({ key }) => key[0].toUpperCase() + key.slice(1).replaceAll("_", " ");

/** About a hundred steps over the range, each a round number. */
function stepOf({ type, low, high }) {
  if (type === "i") return 1;
  const rough = (high - low) / 100;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}
