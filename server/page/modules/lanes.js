/** The comparison: the source and the takes of the same selection, one under the other, on one clock. */

import { byId, element, iconButton } from "./dom.js";
import { loudness, matchedLevels } from "./loudness.js";
import { reportErrors } from "./notices.js";
import { LaneView } from "./waveform.js";

export const SOURCE = "source";
export const TAKES_AT_MOST = 9;   // as many as there are keys

const QUIET = ["wave", "wave"];
const HEARD = ["accent-wave", "accent-wave"];

/**
 * @typedef {{id: string, take: string, title: string, about: string, path: string, file: string,
 *            buffer: AudioBuffer}} Lane
 * id: the track's; take: the job's id, "" for the source; file: the name it is downloaded under
 */

export class TakeLanes {
  /**
   * @param {import("./player.js").Player} player  @param {import("./store.js").Store} store
   * @param {{again: (take: string) => void, recall: (take: string) => void, download: (lane: Lane) => void}} actions
   */
  constructor(player, store, actions) {
    this._player = player;
    this._store = store;
    this._actions = actions;
    /** @type {(Lane & {view: LaneView, row: HTMLElement, loudness: number})[]} */
    this.all = [];
    this._latest = "";   // the take that B stands for
    player.addEventListener("audible", () => this._showAudible());
    store.watch("isMatched", () => this._match());
    store.watch("showsSpectrogram", (isShown) => this.all.forEach(({ view }) => view.showSpectrogram(isShown)));
  }

  /** Begin anew with the source alone. @param {Lane} source */
  open(source) {
    this.clear();
    this._player.open(source.buffer.duration);
    this.add(source);
    this.hear(SOURCE);
  }

  clear() {
    this.all.forEach((lane) => this._drop(lane));
    this._latest = "";
    this._number();
  }

  /** @param {Lane} lane */
  add(lane) {
    this.remove(lane.id);
    const takes = this.all.filter(({ id }) => id !== SOURCE);
    if (takes.length >= TAKES_AT_MOST) this.remove(takes[0].id);
    this._player.add(lane.id, lane.buffer);
    const canvas = element("div", { class: "lane-canvas" });
    const row = this._row(lane, canvas);
    byId("lanes").append(row);
    const entry = { ...lane, row, view: new LaneView(canvas, this._player, lane.buffer, QUIET), loudness: NaN };
    entry.view.surfer.on("interaction", () => this.hear(lane.id));
    entry.view.showSpectrogram(this._store.get("showsSpectrogram"));
    this.all.push(entry);
    this._number();
    this._showAudible();
    reportErrors(() => this._measure(entry));
  }

  remove(id) {
    const lane = this.all.find((other) => other.id === id);
    if (!lane) return;
    this._drop(lane);
    this._number();
  }

  has(take) {
    return this.all.some((lane) => lane.take === take);
  }

  hear(id) {
    this._player.hear(id);
    if (id !== SOURCE) this._latest = id;
  }

  hearTake(take) {
    const lane = this.all.find((other) => other.take === take);
    if (lane) this.hear(lane.id);
  }

  /** 0 is the source, 1 the first take. */
  hearNumber(number) {
    const lane = this.all[number];
    if (lane) this.hear(lane.id);
  }

  /** The take that was audible last, else the newest. */
  hearLatest() {
    const latest = this.all.find(({ id }) => id === this._latest) ?? this.all.at(-1);
    if (latest && latest.id !== SOURCE) this.hear(latest.id);
  }

  get audible() {
    return this.all.find(({ id }) => id === this._player.audible);
  }

  recolour() {
    this.all.forEach(({ view }) => view.recolour());
  }

  _drop(lane) {
    lane.view.destroy();
    lane.row.remove();
    this._player.remove(lane.id);
    this.all = this.all.filter((other) => other !== lane);
  }

  _row(lane, canvas) {
    const isSource = lane.id === SOURCE;
    return element("li", { class: "lane", "data-lane": lane.id, "data-seconds": lane.buffer.duration },
      element("button", { type: "button", class: "lane-pick", onclick: () => this.hear(lane.id) },
        element("span", { class: "badge", "aria-hidden": "true" }),
        element("span", { class: "lane-title", title: lane.title }, lane.title),
        element("span", { class: "lane-about", title: lane.about }, lane.about),
        element("span", { class: "lane-level" })),
      canvas,
      element("div", { class: "lane-actions" }, ...(isSource ? [] : this._buttons(lane))));
  }

  _buttons(lane) {
    return [
      iconButton("again", `Again with another seed: ${lane.title}`, () => this._actions.again(lane.take)),
      iconButton("recall", `Bring words, style, knobs and seed back: ${lane.title}`,
                 () => this._actions.recall(lane.take)),
      iconButton("download", `Download ${lane.file}`, () => this._actions.download(lane)),
      iconButton("close", `Hide ${lane.title}; it stays in the history`, () => this.remove(lane.id)),
    ];
  }

  _number() {
    this.all.forEach(({ row, title }, index) => {
      row.querySelector(".badge").textContent = index ? String(index) : "A";
      row.querySelector(".lane-pick").setAttribute("aria-label", `Listen to ${index ? `take ${index}: ` : ""}${title}`);
    });
    byId("lanes-empty").hidden = this.all.length !== 1;
    byId("compare").hidden = !this.all.length;
  }

  _showAudible() {
    for (const { id, row, view } of this.all) {
      const isAudible = id === this._player.audible;
      if (isAudible === row.classList.contains("audible")) continue;
      row.classList.toggle("audible", isAudible);
      row.querySelector(".lane-pick").setAttribute("aria-pressed", String(isAudible));
      view.recolour(isAudible ? HEARD : QUIET);
    }
  }

  async _measure(entry) {
    entry.loudness = await loudness(entry.buffer);
    this._match();
  }

  _match() {
    const measured = this.all.filter((lane) => !Number.isNaN(lane.loudness));
    const levels = matchedLevels(measured.map((lane) => lane.loudness));
    measured.forEach(({ id, row }, index) => {
      const level = this._store.get("isMatched") ? levels[index] : 1;
      this._player.setLevel(id, level);
      const quieterDb = -20 * Math.log10(level);
      row.querySelector(".lane-level").textContent = quieterDb > 0.05 ? `−${quieterDb.toFixed(1)} dB` : "";
    });
  }
}
