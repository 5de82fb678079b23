/** The file that is worked on: dropped, chosen or recorded, shown as a waveform, a part of it selected. */

import { decode, uploadOf } from "./decode.js";
import { byId, clock } from "./dom.js";
import { keepFile, keptFile } from "./keptfile.js";
import { showWarning, reportErrors } from "./notices.js";
import { Recorder } from "./recorder.js";
import { SourceView } from "./waveform.js";

/** @typedef {{handle: string, name: string, blob: Blob, buffer: AudioBuffer}} Source */

/** Event: "selected", after each change of the file or the selection. */
export class SourcePanel extends EventTarget {
  /** @param {import("./player.js").Player} player  @param {import("./api.js").Api} api */
  constructor(player, api, store) {
    super();
    Object.assign(this, { _player: player, _api: api, _store: store });
    /** @type {Source?} */
    this.source = null;
    this._recorder = new Recorder(player.context);
    this._listenToFiles();
    this._listenToFields();
    byId("record").addEventListener("click", () => this.toggleRecording());
  }

  /** The selection as the server takes it, seconds; length 0: to the end. */
  get selection() {
    return this._store.get("selection");
  }

  /** Where the selection ends, and how long it is. */
  get end() {
    const { start, length } = this.selection;
    return length ? Math.min(start + length, this.source.buffer.duration) : this.source.buffer.duration;
  }

  choose() {
    byId("file").click();
  }

  /** @param {Blob} file  @param {string} name */
  async open(file, name) {
    await this._busy("Reading …", async () => {
      const bytes = await file.arrayBuffer();
      const buffer = await decode(this._player.context, bytes);
      const { blob, format } = uploadOf(file, bytes, buffer);
      const handle = await this._api.upload(blob, format);
      await keep({ handle, name, blob });
      this._show({ handle, name, blob, buffer }, { start: 0, length: 0 });
    });
  }

  /** What was open before the page was reloaded. */
  async restore() {
    const kept = this._store.get("source") && (await keptFile());
    if (!kept) return;
    await this._busy("Reading …", async () => {
      const buffer = await decode(this._player.context, await kept.blob.arrayBuffer());
      this._show({ ...kept, buffer }, this.selection);
    });
  }

  /** A file that is still on the server. */
  async reopen(handle, name, selection) {
    if (this.source?.handle === handle) return this.select(selection.start, selection.length);
    return this._busy("Reading …", async () => {
      const blob = await this._fetch(handle, name);
      const buffer = await decode(this._player.context, await blob.arrayBuffer());
      await keep({ handle, name, blob });
      this._show({ handle, name, blob, buffer }, selection);
    });
  }

  /** The server forgets uploads after a day, and the file is here: send it again, and take its takes along. */
  async uploadAgain() {
    const { blob, name, buffer, handle: before } = this.source;
    const { format } = uploadOf(blob, await blob.slice(0, 4).arrayBuffer(), buffer);
    const handle = await this._api.upload(blob, format);
    await keep({ handle, name, blob });
    this.source.handle = handle;
    this._store.set("source", { handle, name });
    this._store.moveRecords(before, handle);
  }

  async _fetch(handle, name) {
    try {
      return await this._api.file(handle);
    } catch (error) {
      if (error.code !== "no_file") throw error;
      throw new Error(`The server keeps uploads for a day and has forgotten ${name}. Open it again: the take's words, `
                      + "style and knobs are set.");
    }
  }

  /** length 0: to the end. */
  select(start, length) {
    const { duration } = this.source.buffer;
    const first = Math.min(Math.max(0, start), Math.max(0, duration - 0.05));
    const isToEnd = !length || first + length >= duration - 0.0005;
    this._store.set("selection", { start: rounded(first), length: isToEnd ? 0 : rounded(length) });
    this._showSelection();
    this.dispatchEvent(new Event("selected"));
  }

  /** From the cursor, or up to it. */
  selectFromCursor() {
    if (!this.source) return;
    const cursor = this.selection.start + this._player.position;
    this.select(cursor, this.end - cursor);
  }

  selectToCursor() {
    if (this.source) this.select(this.selection.start, this._player.position);
  }

  recolour() {
    this._view?.recolour();
  }

  async toggleRecording() {
    await reportErrors(() => (this._recorder.isRecording ? this._stopRecording() : this._startRecording()));
  }

  async _startRecording() {
    await this._recorder.start();
    byId("record").classList.add("on");
    byId("record").setAttribute("aria-pressed", "true");
    this._showMeter();
  }

  async _stopRecording() {
    const recording = await this._recorder.stop();
    byId("record").classList.remove("on");
    byId("record").setAttribute("aria-pressed", "false");
    byId("record-label").textContent = "Record";
    await this.open(recording, `recording ${new Date().toLocaleTimeString()}`);
  }

  _showMeter() {
    if (!this._recorder.isRecording) return;
    byId("record-label").textContent = `Stop ${clock(this._recorder.seconds)}`;
    byId("record").style.setProperty("--peak", Math.min(1, this._recorder.peak).toFixed(3));
    requestAnimationFrame(() => this._showMeter());
  }

  /** @param {Source} source */
  _show(source, selection) {
    this._view?.destroy();
    this.source = source;
    this._store.set("source", { handle: source.handle, name: source.name });
    this._view = new SourceView(byId("source-wave"), this._player, source.buffer, {
      offset: () => this.selection.start,
      onselect: (start, end) => this.select(start, end - start),
    });
    document.body.classList.add("has-source");
    byId("source-name").textContent = source.name;
    byId("source-about").textContent = `${clock(source.buffer.duration)} · ${channelsInWords(source.buffer)}`;
    this.select(selection.start, selection.length);
  }

  _showSelection() {
    const { start, length } = this.selection;
    this._view.select(start, this.end);
    byId("start").value = start;
    byId("length").value = rounded(this.end - start);
    byId("start").max = byId("length").max = rounded(this.source.buffer.duration);
    byId("whole").disabled = !start && !length;
  }

  _listenToFields() {
    byId("start").addEventListener("change", () => this._fromFields());
    byId("length").addEventListener("change", () => this._fromFields());
    byId("whole").addEventListener("click", () => this.select(0, 0));
  }

  _fromFields() {
    this.select(Number(byId("start").value), Number(byId("length").value));
  }

  _listenToFiles() {
    byId("choose").addEventListener("click", () => this.choose());
    byId("choose-empty").addEventListener("click", () => this.choose());
    byId("file").addEventListener("change", ({ target }) => {
      this._take(target.files);
      target.value = "";   // the same file may be chosen again
    });
    const over = (isOver) => document.body.classList.toggle("dragging", isOver);
    document.addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(false); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      this._take(event.dataTransfer.files);
    });
  }

  _take(files) {
    if (files.length) reportErrors(() => this.open(files[0], files[0].name));
  }

  async _busy(words, action) {
    byId("source-busy").textContent = words;
    document.body.classList.add("reading");
    try {
      return await action();
    } finally {
      document.body.classList.remove("reading");
    }
  }
}

async function keep(file) {
  try {
    await keepFile(file);
  } catch (error) {
    showWarning(`The browser has no room to keep ${file.name}: after a reload, open it again. (${error.name})`);
  }
}

const rounded = (seconds) => Math.round(seconds * 1000) / 1000;

const channelsInWords = ({ numberOfChannels }) =>
  ({ 1: "mono", 2: "stereo" })[numberOfChannels] ?? `${numberOfChannels} channels`;
