/** What each key does. docs/page.md repeats the table, and a test compares them. */

import { byId } from "./dom.js";
import { showHelp } from "./keys.js";
import { SOURCE } from "./lanes.js";

const SEEK_SECONDS = 1;
const FINE_SEEK_SECONDS = 0.1;

/** @param {import("./app.js").App} app  @returns {import("./keys.js").Shortcut[]} */
export function shortcutsOf(app) {
  const { player, lanes, panel, takes } = app;
  const seek = (seconds) => () => player.seek(player.position + seconds);
  const focus = (selector) => () => document.querySelector(selector)?.focus();
  const rows = [
    // keys, how they are shown, what they do, how
    [["Enter"], "Enter", "go: make a take", () => app.go()],
    [["Escape"], "Esc", "cancel the newest job; leave a text box", () => app.cancel(), { alsoTyping: true }],
    [[" "], "Space", "play, pause", () => player.toggle()],
    [["a"], "a", "listen to the source", () => lanes.hear(SOURCE)],
    [["b"], "b", "listen to the latest take", () => lanes.hearLatest()],
    [[..."0123456789"], "1 … 9", "listen to that take; 0 is the source", ({ key }) => lanes.hearNumber(Number(key))],
    [["ArrowLeft"], "←", "back 1 s", seek(-SEEK_SECONDS)],
    [["ArrowRight"], "→", "on 1 s", seek(SEEK_SECONDS)],
    [["Shift+ArrowLeft"], "Shift ←", "back 0.1 s", seek(-FINE_SEEK_SECONDS)],
    [["Shift+ArrowRight"], "Shift →", "on 0.1 s", seek(FINE_SEEK_SECONDS)],
    [["Home"], "Home", "to the beginning", () => player.seek(0)],
    [["["], "[", "the selection begins at the cursor", () => panel.selectFromCursor()],
    [["]"], "]", "the selection ends at the cursor", () => panel.selectToCursor()],
    [["x"], "x", "select the whole file", () => byId("whole").click()],
    [["l"], "l", "loop on, off", () => app.flip("isLooping")],
    [["m"], "m", "all equally loud on, off", () => app.flip("isMatched")],
    [["s"], "s", "spectrograms on, off", () => app.flip("showsSpectrogram")],
    [["r"], "r", "again with another seed: the take you hear", () => app.again(lanes.audible?.take || takes.used)],
    [["d"], "d", "download the take you hear", () => app.downloadAudible()],
    [["Mod+z"], "Ctrl z", "undo: the take that was in use before", () => app.step("undo")],
    [["Mod+Shift+z", "Mod+y"], "Ctrl Shift z", "redo", () => app.step("redo")],
    [["w", "/"], "w", "to the words", focus("#words")],
    [["f"], "f", "find a style; arrows move, Enter chooses, Shift Enter adds to the blend", focus("#style-search")],
    [["k"], "k", "to the knobs", focus("#knobs input")],
    [["o"], "o", "open a file", () => panel.choose()],
    [["c"], "c", "record, stop recording", () => panel.toggleRecording()],
    [["?"], "?", "this list", showHelp],
  ];
  return rows.map(([keys, shown, help, run, more]) => ({ keys, shown, help, run, ...more }));
}
