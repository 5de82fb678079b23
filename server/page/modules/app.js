/** The page put together: what happens between its parts. */

import { Api } from "./api.js";
import { presetOf } from "./blend.js";
import { decode } from "./decode.js";
import { byId, clock } from "./dom.js";
import { EventStream } from "./events.js";
import { showHistory } from "./history.js";
import { showJobs } from "./jobrows.js";
import { Jobs } from "./jobs.js";
import { listen } from "./keys.js";
import { Knobs } from "./knobs.js";
import { TakeLanes, SOURCE, TAKES_AT_MOST } from "./lanes.js";
import { dismissErrors, showError, showWarning, reportErrors } from "./notices.js";
import { part, Player } from "./player.js";
import { Presets } from "./presets.js";
import { followServer } from "./serverstate.js";
import { shortcutsOf } from "./shortcuts.js";
import { SourcePanel } from "./sourcepanel.js";
import { Store } from "./store.js";
import { Takes } from "./takes.js";
import { followTheme } from "./theme.js";

const NO_AUDIO = "There is no audio yet. Drop a file on the page, choose one, or record one.";
const NO_RECORD = "This browser has forgotten how that take was made. Its stem is in the server's takes "
  + "folder.";
const NOT_ITS_FAULT = ["interrupted", "engine_died", "timed_out"];   // the same job may well succeed the next time

/**
 * @typedef {{label: string, words: string, mixture: {name: string, weight: number}[], knobs: Record<string, any>,
 *            seed: string, handle: string, name: string, start: number, length: number}} Request
 * The request of a take, as the page remembers it.
 */

export class App {
  constructor() {
    this.store = new Store();
    this.api = new Api(this.store.get("client"));
    this.stream = new EventStream(this.api);
    this.player = new Player(new AudioContext());
    this.panel = new SourcePanel(this.player, this.api, this.store);
    this.presets = new Presets(this.store);
    this.knobs = new Knobs(this.store);
    this.takes = new Takes(this.api, this.store);
    this.jobs = new Jobs(this.api, this.store, this.stream);
    this.lanes = new TakeLanes(this.player, this.store, {
      again: (take) => this.again(take), recall: (take) => this.recall(take), download: (lane) => this.download(lane),
    });
    this._turn = 0;   // counts what the comparison shows: what was loaded for an earlier one is dropped
  }

  /** Wire everything, then go on where the page was left. */
  async start() {
    this._wireRequest();
    this._wireTransport();
    this._wireParts();
    listen(shortcutsOf(this));
    await reportErrors(() => this.panel.restore());
    this.stream.start();
  }

  // Making takes

  /** Send the selection, the words, the style and the knobs. */
  async go() {
    dismissErrors();
    await reportErrors(async () => {
      if (!this.panel.source) throw new Error(NO_AUDIO);
      const request = this._request();
      await this._retryWithUpload(request, () => this._edit(request), () => this._edit({ ...request, ...this._file() }));
    });
  }

  /** @returns {Request} */
  _request() {
    const words = this.store.get("words").trim();
    const mixture = this.store.get("mixture");
    return { label: labelOf(this.presets.describe(mixture), words), words, mixture, knobs: this.knobs.turned(),
             seed: this.store.get("seed"), ...this._file(), ...this.panel.selection };
  }

  _file() {
    const { handle, name } = this.panel.source;
    return { handle, name };
  }

  /** @param {Request} request */
  _edit(request) {
    const { handle, words, mixture, knobs, seed, start, length } = request;
    const keys = { ...knobs, seed: seed === "" ? -1 : Number(seed), preset: presetOf(mixture), start, length };
    return this.jobs.start("edit", { audio: handle, text: words, ...keys }, request);
  }

  /** `send`; where the server has forgotten the file that is open here, it is uploaded anew for `sendAnew`. */
  async _retryWithUpload(request, send, sendAnew) {
    try {
      await send();
    } catch (error) {
      if (error.code !== "no_file" || request.handle !== this.panel.source?.handle) throw error;
      await this.panel.uploadAgain();
      await sendAnew();
    }
  }

  /** The same with another seed. */
  async again(take) {
    if (!take) return;
    dismissErrors();
    const request = this.takes.request(take) ?? { label: this.takes.find(take)?.text ?? take };
    await reportErrors(() => this._retryWithUpload(request,
      () => this.jobs.start("again", { old_id: take, seed: -1 }, { ...request, seed: "" }),
      () => this._edit({ ...request, seed: "", ...this._file() })));
  }

  /** The newest job is stopped. */
  async cancel() {
    const newest = [...this.jobs.active.keys()].at(-1);
    if (newest) await reportErrors(() => this.jobs.cancel(newest));
    else if (document.activeElement !== document.body) document.activeElement.blur();
  }

  async _onEnd({ id, results, done, fail }) {
    if (fail && fail.code !== "cancelled") {
      const cure = { label: "Try again", run: () => this.again(id) };
      showError(fail, NOT_ITS_FAULT.includes(fail.code) ? cure : undefined);
    }
    if (!done) return;
    await reportErrors(async () => {
      await this.takes.refresh();
      this.takes.remember(id);
      if (this._isShown(this.takes.request(id))) await this._addLanes(id, results);
      this.lanes.hearTake(id);
    });
  }

  // Comparing takes

  /** The source's selection, and the takes that were made of it. */
  async showRegion() {
    const turn = ++this._turn;
    this.lanes.open(this._sourceLane());
    const takes = this.takes.all.filter(({ id }) => this._isShown(this.takes.request(id))).slice(0, TAKES_AT_MOST);
    for (const { id } of takes.reverse()) {
      const results = await this.takes.results(id);
      if (turn !== this._turn) return;
      await this._addLanes(id, results);
    }
  }

  _isShown(request) {
    if (!request || !this.panel.source) return false;
    const { start, length } = this.panel.selection;
    return request.handle === this.panel.source.handle && request.start === start && request.length === length;
  }

  _sourceLane() {
    const { buffer, name } = this.panel.source;
    const { start, length } = this.panel.selection;
    const rate = buffer.sampleRate;
    const isAll = !start && !length;
    const shown = isAll ? buffer : part(this.player.context, buffer, Math.round(start * rate),
                                        Math.round((this.panel.end - start) * rate));
    const about = isAll ? "the whole file" : `${clock(start)} to ${clock(this.panel.end)}`;
    return { id: SOURCE, take: "", title: "Source", about, path: "", file: name, buffer: shown };
  }

  async _addLanes(id, results) {
    const turn = this._turn;
    for (const result of results) {
      const buffer = await decode(this.player.context, await (await this.api.file(result.path)).arrayBuffer());
      if (turn !== this._turn) return;
      const { title, about } = this.describe(id);
      const stem = results.length > 1 ? ` (${result.stem})` : "";
      this.lanes.add({ id: `${id}/${result.index}`, take: id, title: title + stem, about, path: result.path, buffer,
                       file: this._fileName(id, result) });
    }
  }

  _fileName(id, { path }) {
    const source = this.takes.request(id)?.name?.replace(/\.\w+$/, "") ?? "take";
    const seed = this.takes.find(id)?.seed ?? "";
    const words = `${source} ${this.describe(id).title} ${seed}`.replace(/[^\p{L}\p{N}]+/gu, "-");
    return words.replace(/^-|-$/g, "") + path.slice(path.lastIndexOf("."));
  }

  /** A take in words. */
  describe(id) {
    const take = this.takes.find(id);
    const request = this.takes.request(id);
    const turned = Object.entries(request?.knobs ?? {}).map(([key, value]) => `${key} ${value}`);
    const title = request?.label || labelOf(take?.preset ?? "", take?.text ?? "");
    return { title, about: [take ? `seed ${take.seed}` : "", ...turned].filter(Boolean).join(" · ") };
  }

  async downloadAudible() {
    if (this.lanes.audible?.path) await this.download(this.lanes.audible);
  }

  async download({ path, file }) {
    await reportErrors(async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await this.api.file(path));
      link.download = file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }

  // Going back

  /** Make a take the current one again: its selection, its settings, its sound. */
  async use(id) {
    await reportErrors(async () => {
      await this.takes.use(id);
      await this._return(id);
    });
  }

  async step(direction) {
    await reportErrors(async () => {
      await this.takes[direction]();
      await this._return(this.takes.used);
    });
  }

  async _return(id) {
    const request = this.takes.request(id);
    if (!request?.handle) throw new Error(NO_RECORD);
    this._restoreSettings(request, request.seed);
    if (!this._isShown(request)) await this.panel.reopen(request.handle, request.name, request);
    await this._shown;
    if (!this.lanes.has(id)) await this._addLanes(id, await this.takes.results(id));
    this.lanes.hearTake(id);
  }

  /** Words, style, knobs, and the seed that was used, so that the same can be made again with a change. */
  recall(id) {
    const request = this.takes.request(id);
    if (request?.handle) this._restoreSettings(request, String(this.takes.find(id)?.seed ?? request.seed));
  }

  _restoreSettings({ words, mixture, knobs }, seed) {
    for (const [key, value] of Object.entries({ words, mixture, knobs, seed })) this.store.set(key, value);
  }

  // Wiring

  _wireRequest() {
    const words = byId("words");
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go();
    });
    words.addEventListener("input", () => this.store.set("words", words.value));
    this.store.watch("words", (value) => { if (words.value !== value) words.value = value; });
  }

  _wireTransport() {
    const { player, store } = this;
    byId("play").addEventListener("click", () => player.toggle());
    for (const [id, key] of [["loop", "isLooping"], ["match", "isMatched"], ["spectrogram", "showsSpectrogram"]]) {
      byId(id).addEventListener("click", () => this.flip(key));
      store.watch(key, (isOn) => byId(id).setAttribute("aria-pressed", String(isOn)));
    }
    store.watch("isLooping", (isLooping) => player.setLooping(isLooping));
    for (const name of ["play", "pause", "seek"]) player.addEventListener(name, () => this._showTime());
  }

  flip(key) {
    this.store.set(key, !this.store.get(key));
  }

  _showTime() {
    const { isPlaying, position, duration } = this.player;
    document.body.classList.toggle("playing", isPlaying);
    byId("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    byId("time").textContent = `${clock(position)} / ${clock(duration)}`;
    if (isPlaying) requestAnimationFrame(() => this.player.isPlaying && this._showTime());
  }

  _wireParts() {
    this.panel.addEventListener("selected", () => { this._shown = reportErrors(() => this.showRegion()); });
    this.jobs.addEventListener("end", ({ detail }) => this._onEnd(detail));
    this.stream.addEventListener("log", ({ detail }) => { if (detail.level >= 2) showWarning(detail.text); });
    for (const name of ["preset/changed", "ready"])
      this.stream.addEventListener(name, () => reportErrors(() => this._loadPresets()));
    this.stream.addEventListener("done", () => reportErrors(() => this.takes.refresh()));   // it may be another window's job
    this.stream.addEventListener("lost", () => reportErrors(() => this._catchUp()));
    this.store.addEventListener("mixture", () => reportErrors(() => this._loadKnobs()));
    showJobs(this.jobs);
    showHistory(this.takes, { use: (id) => this.use(id), describe: (id) => this.describe(id) });
    byId("undo").addEventListener("click", () => this.step("undo"));
    byId("redo").addEventListener("click", () => this.step("redo"));
    followTheme(this.store, () => { this.panel.recolour(); this.lanes.recolour(); });
    followServer(this.api, this.stream, () => reportErrors(() => this._catchUp()));
  }

  /** A connection stands, the first one or another: ask for all that may have happened. */
  async _catchUp() {
    await this._loadPresets();
    await this.takes.refresh();
    await this.jobs.catchUp();
    const isMissing = ({ id }) => this._isShown(this.takes.request(id)) && !this.lanes.has(id);
    if (this.lanes.all.length < 2 && this.takes.all.some(isMissing)) {
      await (this._shown = this.showRegion());
      this.lanes.hearTake(this.takes.used);
    }
  }

  async _loadPresets() {
    const models = await this.api.ask("model/list", {}, "model/item");
    const loaded = models.filter((model) => model.loaded).map(({ name }) => name);
    this.presets.load(await this.api.ask("preset/list", {}, "preset/item"), loaded);
    await this._loadKnobs();
  }

  /** A style's own values are shown for one style; in a blend the server takes their mean. */
  async _loadKnobs() {
    const mixture = this.store.get("mixture");
    const name = (mixture[0] ?? this.presets.all[0])?.name;
    const values = name ? await this.api.ask("preset/get", { name }, "preset/param") : [];
    if (this.store.get("mixture") === mixture) this.knobs.load(values, mixture.length === 1);
  }
}

const labelOf = (style, words) => (style && words ? `${style} · “${words}”` : style || `“${words}”`);
