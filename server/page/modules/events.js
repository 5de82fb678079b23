/**
 * What the server tells our session later: progress, results, ends, news.
 *
 * Each event is dispatched under its name ("progress", "done", "preset/changed" …) with its values as `detail`;
 * "open" and "closed" tell of the connection. The browser connects again by itself; where it gives up (the server
 * answered with an error), we do, and go on after the last event that came.
 */

const NAMES = ["progress", "result", "done", "fail", "log", "state", "ready", "preset/changed", "lost"];
const RETRY_MS = 1000;

export class EventStream extends EventTarget {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this._api = api;
    this._lastId = "";
    this.isOpen = false;
  }

  /** Connect, and stay connected. */
  start() {
    const source = new EventSource(this._api.url("events", this._lastId && { since: this._lastId }));
    source.onopen = () => this._setOpen(true);
    source.onerror = () => {
      this._setOpen(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.start(), RETRY_MS);
    };
    for (const name of NAMES) source.addEventListener(name, (event) => this._tell(event));
  }

  _tell({ type, data, lastEventId }) {
    this._lastId = lastEventId;
    this.dispatchEvent(new CustomEvent(type, { detail: JSON.parse(data) }));
  }

  _setOpen(isOpen) {
    if (isOpen === this.isOpen) return;
    this.isOpen = isOpen;
    this.dispatchEvent(new Event(isOpen ? "open" : "closed"));
  }
}
