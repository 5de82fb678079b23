/** The takes of this session, by the server's list, with the requests that made them. */

/**
 * @typedef {{id: string, job: string, text: string, preset: string, seed: number, results: number, created: string,
 *            in_use: 0 | 1}} Take
 */

export class Takes extends EventTarget {
  /** @param {import("./api.js").Api} api  @param {import("./store.js").Store} store */
  constructor(api, store) {
    super();
    this._api = api;
    this._store = store;
    /** @type {Take[]} newest first */
    this.all = [];
  }

  async refresh() {
    this.all = await this._api.ask("take/list", {}, "take/item");
    this._changed();
  }

  find(id) {
    return this.all.find((take) => take.id === id);
  }

  /** The request; undefined when this browser has forgotten it. */
  request(id) {
    return this._store.get("records")[id];
  }

  /** The take that is in use: what undo leaves. */
  get used() {
    return this._store.get("used").past.at(-1);
  }

  /** The files of a take, one for each stem. */
  results(id) {
    return this._api.ask("job/query", { id }, "result");
  }

  /** Go back to a take; it is remembered, so that undo leads away from it again. */
  async use(id) {
    await this._tellServer(id);
    this.remember(id);
  }

  /** A take has come into use by itself: it is new. */
  remember(id) {
    const { past } = this._store.get("used");
    if (past.at(-1) !== id) this._store.set("used", { past: [...past, id].slice(-100), future: [] });
    this._changed();
  }

  /** The id that undo leads to, or "". */
  get previous() {
    return this._store.get("used").past.at(-2) ?? "";
  }

  get next() {
    return this._store.get("used").future.at(-1) ?? "";
  }

  async undo() {
    const { past, future } = this._store.get("used");
    await this._step(this.previous, { past: past.slice(0, -1), future: [...future, past.at(-1)] });
  }

  async redo() {
    const { past, future } = this._store.get("used");
    await this._step(this.next, { past: [...past, future.at(-1)], future: future.slice(0, -1) });
  }

  async _step(id, used) {
    if (!id) return;
    await this._tellServer(id);
    this._store.set("used", used);
    this._changed();
  }

  async _tellServer(id) {
    await this._api.call("take/use", { id });
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}
