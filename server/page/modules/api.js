/** The server's HTTP twin of its OSC addresses: see docs/http.md. Passwords are the browser's affair. */

const ROOT = "/retimbre/";
const UNREACHABLE = "The server does not answer. Start it again with: retimbre serve";

/** The server's /fail, or no answer at all. `message` says what was expected, what came and what to do. */
export class ServerError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** @typedef {{address: string} & Record<string, any>} Reply  its address without /retimbre/, its values by name */

export class Api {
  /** @param {string} client  the session's name */
  constructor(client) {
    this.client = client;
  }

  /** Send a verb. @returns {Promise<Reply[]>} Throws ServerError for a /fail. */
  async call(verb, values = {}) {
    const answer = await send(this.url(verb), {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values),
    });
    return repliesOf(await answer.json());
  }

  /** Send a verb and keep the replies of one address. */
  async ask(verb, values, address) {
    return (await this.call(verb, values)).filter((reply) => reply.address === address);
  }

  /** Send a file's bytes. @returns {Promise<string>} the handle that stands for it in other verbs */
  async upload(blob, format) {
    const answer = await send(this.url("audio/upload", { format }), {
      method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: blob,
    });
    return (await answer.json()).handle;
  }

  /** A file of the server's: a stem, a manifest, an upload. @returns {Promise<Blob>} */
  async file(path) {
    return (await send(this.url("audio/file", { path }))).blob();
  }

  url(verb, parameters = {}) {
    return `${ROOT}${verb}?${new URLSearchParams({ client: this.client, ...parameters })}`;
  }
}

async function send(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {  // whatever the browser calls it: nobody answered
    throw new ServerError("unreachable", UNREACHABLE);
  }
  if (!answer.ok) throw await failure(answer);
  return answer;
}

const isRefusal = ({ address, serial }) => address === `${ROOT}fail` && !serial;   // a job's end has a serial

function repliesOf({ replies }) {
  const fail = replies.find(isRefusal);
  if (fail) throw new ServerError(fail.code, fail.message);
  return replies.map((reply) => ({ ...reply, address: reply.address.slice(ROOT.length) }));
}

async function failure(answer) {
  const text = await answer.text();
  try {
    const { code, message } = JSON.parse(text).replies.find(({ address }) => address === `${ROOT}fail`);
    return new ServerError(code, message);
  } catch {  // not the server's own words: somebody between us and it
    return new ServerError(`http_${answer.status}`, text.slice(0, 300) || answer.statusText);
  }
}
