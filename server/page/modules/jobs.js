/**
 * Jobs whose end is to come. Events: "change" (something to show), "end" (detail: {id, results, done, fail}).
 *
 * Messages come by the event stream; after a lost connection, a reload or a restart of the server the page asks about
 * each job (/retimbre/job/query), so that a lost message costs nothing.
 */

import { randomName } from "./store.js";

/**
 * @typedef {{id: string, label: string, stage: string, fraction: number, eta: number, queue_position: number,
 *            results: Map<number, object>}} Job
 */

export class Jobs extends EventTarget {
  /** @param {import("./api.js").Api} api  @param {import("./store.js").Store} store */
  constructor(api, store, stream) {
    super();
    this._api = api;
    this._store = store;
    /** @type {Map<string, Job>} */
    this.active = new Map(store.get("active").map((id) => [id, newJob(id, labelOf(store, id))]));
    for (const name of ["progress", "result", "done", "fail"])
      stream.addEventListener(name, ({ detail }) => this._hear({ ...detail, address: name }));
  }

  /**
   * Send a request that makes stems. @param {string} verb  "edit" or "again"
   * @param {object} request  what is remembered of it
   * @returns {Promise<string>} its id. Throws ServerError when it is not accepted.
   */
  async start(verb, values, request) {
    const id = randomName();
    this._store.record(id, request);
    this._keep(newJob(id, request.label));
    try {
      (await this._api.call(verb, { id, ...values })).forEach((reply) => this._hear(reply));
    } catch (error) {
      this._forget(id);
      throw error;
    }
    return id;
  }

  async cancel(id) {
    await this._api.call("cancel", { id });
  }

  /** Ask where all of them are. */
  async catchUp() {
    for (const id of [...this.active.keys()]) {
      try {
        (await this._api.call("job/query", { id })).forEach((reply) => this._hear(reply));
      } catch (error) {
        if (error.code === "unreachable") return;   // asked again when the connection is back
        this._hear({ id, address: "fail", code: error.code, message: error.message });
      }
    }
  }

  _hear(message) {
    const job = this.active.get(message.id);
    if (!job) return;
    if (message.address === "result") job.results.set(message.index, message);
    else if (isEndOfJob(message)) this._end(job, { [message.address]: message });
    else Object.assign(job, message);
    this._changed();
  }

  _end({ id, results }, ending) {
    this._forget(id);
    const detail = { id, results: [...results.values()], ...ending };
    this.dispatchEvent(new CustomEvent("end", { detail }));
  }

  _keep(job) {
    this.active.set(job.id, job);
    this._changed();
  }

  _forget(id) {
    this.active.delete(id);
    this._changed();
  }

  _changed() {
    const ids = [...this.active.keys()];
    if (ids.join() !== this._store.get("active").join()) this._store.set("active", ids);
    this.dispatchEvent(new Event("change"));
  }
}

const newJob = (id, label) =>
  ({ id, label, stage: "sending", fraction: 0, eta: -1, queue_position: 0, results: new Map() });

const labelOf = (store, id) => store.get("records")[id]?.label ?? "";

/** A /done of the job itself, not of a cancel that names it. */
const isEndOfJob = ({ address, command }) =>
  address === "fail" || (address === "done" && !command.endsWith("/cancel"));
