"use strict";
// A blind test from window.LISTENING_TEST (trials.js). Plain script, no network needed: it also runs from a folder.
// Answers stay in this browser until they are handed in: to the server that showed the page, or as a CSV file.

const test = window.LISTENING_TEST;
const main = document.getElementById("main");
const COLUMNS = ["test", "listener", "trial", "kind", "question", "answer", "seconds"];
const CHOICES = {
  ab: [["a", "A"], ["same", "no difference"], ["b", "B"]],
  mos: [["1", "1 bad"], ["2", "2 poor"], ["3", "3 fair"], ["4", "4 good"], ["5", "5 excellent"]], // ITU-T P.800
};
const HEARD_SECONDS = 3; // of a stimulus, or all of a shorter one, before it may be judged

let listener = "";
let answers = []; // one object of COLUMNS each

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Every listener gets an order of their own, the same after a reload.
function trialsFor(name) {
  let state = [...(test.test + name)].reduce((hash, letter) => Math.imul(hash ^ letter.codePointAt(0), 16777619), 2166136261);
  const random = () => { // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const order = [...test.trials];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

const drawer = () => `retimbre-listening-${test.test}-${listener}`;

function remember() {
  try {
    localStorage.setItem(drawer(), JSON.stringify(answers));
  } catch { /* private windows may refuse: then a reload begins anew */ }
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem(drawer())) || [];
  } catch {
    return [];
  }
}

function showStart() {
  const name = make("input", { type: "text", id: "listener", required: true, maxLength: 40, autocomplete: "off" });
  const first = test.trials[0];
  const form = make("form", {},
    make("h1", { textContent: "Listening test" }),
    make("p", { textContent: "Use headphones in a quiet room. Set the volume with this sound, then leave it alone:" }),
    player(first.original || first.stimuli[0]),
    make("p", { textContent: `There are ${test.trials.length} short pages. Sounds on one page play in step: switch between them as often as you like. There are no right answers.` }),
    make("p", {}, make("label", { htmlFor: "listener", textContent: "Your name or number" }), name),
    make("button", { textContent: "Begin" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    listener = name.value.trim();
    if (!listener) return;
    answers = recall();
    showNext();
  });
  main.replaceChildren(form);
}

function showNext() {
  const order = trialsFor(listener);
  const done = new Set(answers.map((answer) => answer.trial));
  const trial = order.find((each) => !done.has(each.id));
  if (trial) showTrial(trial, done.size, order.length);
  else showEnd();
}

function showTrial(trial, index, count) {
  const begun = performance.now();
  const heard = new Set();
  const names = trial.kind === "ab" ? ["A", "B"] : ["This"];
  const stimuli = trial.stimuli.map((name, place) => [names[place], name]);
  const sounds = trial.original ? [["Original", trial.original], ...stimuli] : stimuli;
  const players = sounds.map(([, name]) => player(name));
  const next = make("button", { textContent: "Next", disabled: true });
  const form = make("form", {},
    make("progress", { max: count, value: index, title: `${index} of ${count}` }),
    ...(trial.text ? [make("p", { textContent: "The original was changed with these words:" }), make("blockquote", { textContent: trial.text })] : []),
    ...sounds.map(([title], place) => make("div", { className: "stimulus" }, make("strong", { textContent: title }), players[place])),
    ...trial.questions.map((question) => questionBox(trial.kind, question)),
    make("p", { className: "hint", textContent: "“Next” opens when every sound has been heard and every question is answered." }),
    next);
  const update = () => {
    const answered = trial.questions.every((question) => form.elements[question.id].value);
    next.disabled = !(answered && heard.size === sounds.length);
  };
  playInStep(players, (place) => {
    heard.add(place);
    players[place].parentElement.classList.add("heard");
    update();
  });
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    for (const question of trial.questions) {
      const answer = form.elements[question.id].value;
      answers.push({ test: test.test, listener, trial: trial.id, kind: trial.kind, question: question.id, answer, seconds });
    }
    remember();
    showNext();
  });
  main.replaceChildren(form);
}

function questionBox(kind, question) {
  return make("fieldset", {}, make("legend", { textContent: question.text }), ...CHOICES[kind].map(([value, title]) =>
    make("label", {}, make("input", { type: "radio", name: question.id, value }), title)));
}

function player(name) {
  return make("audio", { src: `audio/${name}.wav`, controls: true, preload: "auto" });
}

// One sound at a time; the next one goes on where the last one was.
function playInStep(players, onHeard) {
  players.forEach((audio, place) => {
    let seconds = 0;
    let last = 0;
    audio.addEventListener("play", () => {
      for (const other of players) {
        if (other !== audio && !other.paused) {
          other.pause();
          audio.currentTime = other.currentTime;
        }
      }
      last = audio.currentTime;
    });
    audio.addEventListener("timeupdate", () => {
      const step = audio.currentTime - last;
      if (step > 0 && step < 1) seconds += step; // a jump is not listening
      last = audio.currentTime;
      if (seconds >= Math.min(HEARD_SECONDS, 0.8 * audio.duration)) onHeard(place);
    });
  });
}

function asCsv() {
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  return [COLUMNS, ...answers.map((answer) => COLUMNS.map((column) => answer[column]))]
    .map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
}

async function showEnd() {
  const note = make("p", { id: "note", textContent: "Handing in…" });
  const link = make("a", {
    href: URL.createObjectURL(new Blob([asCsv()], { type: "text/csv" })),
    download: `${listener.replace(/[^\w-]+/g, "_")}.csv`, textContent: "Download the answers (CSV)",
  });
  main.replaceChildren(make("h1", { textContent: "Thank you" }), note, make("p", {}, link));
  note.textContent = (await handIn())
    ? "Your answers have been handed in. You may close this page."
    : "Please download your answers and give them to whoever runs the test.";
}

async function handIn() {
  if (!location.protocol.startsWith("http")) return false;
  try {
    const body = JSON.stringify({ listener, rows: answers });
    const reply = await fetch("results", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return reply.ok;
  } catch {
    return false;
  }
}

showStart();
