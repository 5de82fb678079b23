/** What the page remembers across reloads: small values in localStorage. A change is an event named like the key. */

const KEY = "retimbre";
const RECORDS_AT_MOST = 200;
const SHARED = ["records", "theme"];   // what another window of the same browser changes holds here too

/** @returns {Record<string, any>} */
const defaults = () => ({
  client: `page-${randomName()}`,   // our session on the server
  source: null,                     // {handle, name, seconds}
  selection: { start: 0, length: 0 },       // seconds; length 0: to the end
  words: "",
  mixture: [],                      // [{name, weight}]
  knobs: {},                        // key → value, only those that were turned
  seed: "",                         // "": a new one each time
  records: {},                      // job id → its request
  active: [],                       // job ids whose end is to come
  used: { past: [], future: [] },   // take ids, for undo and redo; the last of past is in use
  isMatched: true,
  isLooping: true,
  showsSpectrogram: false,
  theme: "",                        // "", "light", "dark"
});

/** A name that nobody else has: 10 hexadecimal digits. */
export const randomName = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Store extends EventTarget {
  constructor(storage = globalThis.localStorage) {
    super();
    this._storage = storage;
    this._values = { ...defaults(), ...read(storage) };
    storage.setItem(KEY, JSON.stringify(this._values));
    addEventListener("storage", ({ key }) => { if (key === KEY) this._share(); });
  }

  get(key) {
    return this._values[key];
  }

  set(key, value) {
    this._values[key] = value;
    this._storage.setItem(KEY, JSON.stringify({ ...this._values, ...read(this._storage), [key]: value }));
    this.dispatchEvent(new Event(key));
  }

  /** Call `listener` now and whenever `key` changes. */
  watch(key, listener) {
    this.addEventListener(key, () => listener(this.get(key)));
    listener(this.get(key));
  }

  /** Remember the request of a job; the oldest are forgotten. */
  record(id, request) {
    const all = { ...this.get("records"), [id]: request };
    for (const old of Object.keys(all).slice(0, -RECORDS_AT_MOST)) delete all[old];
    this.set("records", all);
  }

  /** A file has another handle from now on. */
  moveRecords(before, handle) {
    const moved = Object.entries(this.get("records")).map(
      ([id, request]) => [id, request.handle === before ? { ...request, handle } : request]);
    this.set("records", Object.fromEntries(moved));
  }

  _share() {
    const theirs = read(this._storage);
    for (const key of SHARED) {
      this._values[key] = theirs[key];
      this.dispatchEvent(new Event(key));
    }
  }
}

function read(storage) {
  try {
    return JSON.parse(storage.getItem(KEY)) ?? {};
  } catch (error) {
    console.warn("what the page remembered cannot be read and is begun anew", error);
    return {};
  }
}
