/** Is the server there, what does it do, and has it been restarted? */

import { byId } from "./dom.js";
import { showNews } from "./notices.js";

const RESTARTED = "The server was restarted. Everything is here again.";
const SAME_LIFE_SECONDS = 0.5;   // by which two measurements of one start may differ; a start takes longer

/**
 * @param {() => Promise<void>} onopen  called when a connection stands, the first time and after each loss
 */
export function followServer(api, stream, onopen) {
  let begun = 0;   // when this life of the server began, seconds
  const show = (kind, text) => {
    byId("server").dataset.state = kind;
    byId("server-text").textContent = text;
  };
  const ask = async () => {
    const [status] = await api.ask("status", {}, "status.reply");
    show(status.state, `${status.state} · ${status.model} · ${status.device}`);
    return Date.now() / 1000 - status.uptime;
  };
  stream.addEventListener("open", async () => {
    const before = begun;
    begun = await ask();
    if (before) showNews(isSame(before, begun) ? "Connected again." : RESTARTED);
    await onopen();
  });
  stream.addEventListener("closed", () => show("lost", "Connection lost, trying again …"));
  stream.addEventListener("state", ask);
  stream.addEventListener("ready", ask);
  show("lost", "Connecting …");
}

const isSame = (before, begun) => Math.abs(before - begun) < SAME_LIFE_SECONDS;
