// What [retimbre] and the Live device know of the protocol: one job at a time, said until it is answered.
//
// Written in the JavaScript of [js] (ES5), which [v8] runs as well. Nothing here waits: Max calls in with a message or
// with the clock (a Task), and this answers through its outlets. UDP loses messages: the job is sent again until the
// server acknowledges it (the same id never starts a second one), and an end is answered with /got until it stops.

autowatch = 1;
inlets = 2;      // 0: commands; 1: what udpreceive heard
outlets = 7;

var SEND = 0, PROGRESS = 1, RESULT = 2, DONE = 3, FAIL = 4, NEWS = 5, LISTEN = 6;   // the outlets
setinletassist(0, "edit PATH WORDS, buffer NAME WORDS, capture BARS WORDS, cancel, again, preset NAME, key NAME VALUE, presets, host, port");
setinletassist(1, "from udpreceive");
setoutletassist(SEND, "to udpsend");
setoutletassist(PROGRESS, "fraction (-1: unknown) and stage");
setoutletassist(RESULT, "index, stem, path, rate, channels, frames, start (s), beats");
setoutletassist(DONE, "number of stems, seed, seconds");
setoutletassist(FAIL, "code, message");
setoutletassist(NEWS, "everything else: connected 0/1, menu (for umenu), preset, presets, folder, log, state");
setoutletassist(LISTEN, "to udpreceive");

var TICK_MS = 500;
var RESEND_MS = 1000;
var QUERY_MS = 3000;      // the server says something at least every 2 s
var SILENCE_MS = 10000;   // after that it is gone
var JOBS = ["/retimbre/edit", "/retimbre/again", "/retimbre/capture"];
var PLACES = ["start", "length", "tempo", "beats_start"];
var FIRST_PORT = 20000, PORTS = 10000;

var me = "max-" + Math.floor(Math.random() * 1e9);
var fixedPort = Number(jsarguments[3]) || 0;
var listenPort = fixedPort || randomPort();
var isConnected = false;
var lastHeard = 0, lastAsked = 0, unanswered = 0;
var nextId = 1;
var job = null;           // {id, packet, isAcknowledged, sentAt, heardAt, askedAt, stems, stemCount}
var lastId = 0;           // the job before: what `again` repeats
var keys = {};            // go with every job
var folderPath = "";      // where a region may be written
var waiting = null;       // a buffer that is to be sent once the folder is known
var target = "";          // the buffer that gets the first stem
var clock = new Task(tick, this);

function randomPort() { return FIRST_PORT + Math.floor(Math.random() * PORTS); }
function now() { return new Date().getTime(); }

function say() { outlet(SEND, Array.prototype.slice.call(arguments)); }
function news() { outlet(NEWS, Array.prototype.slice.call(arguments)); }

// ------------------------------------------------------------------ commands

// Max calls it when the patch is there; in a Live device the patch sends it after live.thisdevice.
function loadbang() {
    if (jsarguments[1]) say("host", String(jsarguments[1]));
    if (Number(jsarguments[2])) say("port", Number(jsarguments[2]));
    clock.interval = TICK_MS;
    clock.repeat();
    register();
}

function notifydeleted() {
    clock.cancel();
    say("/retimbre/notify", 0, listenPort, me);
}

function host(name) { say("host", String(name)); reconnect(); }
function port(number) { say("port", Number(number)); reconnect(); }

function edit() {
    var words = arrayfromargs(arguments);
    begin(nativePath(String(words.shift())), words.join(" "));
}

// Write a buffer~ into the server's folder and send that. The file is complete before the server takes it: it waits.
function buffer() {
    var words = arrayfromargs(arguments);
    waiting = {name: String(words.shift()), text: words.join(" ")};
    if (folderPath) sendBuffer(); else say("/retimbre/folder");
}

function into(name) { target = name === undefined ? "" : String(name); }

// The last whole bars of live audio. Where they lie the server knows, so no key may say it.
function capture() {
    var words = arrayfromargs(arguments);
    if (isBusy()) return;
    var packet = ["/retimbre/capture", nextId, Number(words.shift()), words.join(" ")];
    for (var name in keys) if (PLACES.indexOf(name) < 0) packet.push(name, keys[name]);
    start(packet);
}

function again() {
    if (!lastId) { failed("unknown_job", "there is no job to repeat yet"); return; }
    if (isBusy()) return;
    start(["/retimbre/again", nextId, lastId].concat(arrayfromargs(arguments)));
}

function cancel() {
    if (job) say("/retimbre/cancel", job.id);
}

function key() {
    var words = arrayfromargs(arguments);
    var name = String(words.shift());
    if (!words.length || words[0] === "") delete keys[name];
    else keys[name] = words.length === 1 ? words[0] : words.join(" ");
}


// harp, or: harp 0.7 choir 0.3. A dash, which heads the menu: none.
function preset() {
    var words = arrayfromargs(arguments);
    key.apply(this, ["preset"].concat(words[0] === "-" ? [] : words));
}

function presets() { news("menu", "clear"); news("menu", "append", "-"); say("/retimbre/preset/list"); }
function folder() { say("/retimbre/folder"); }

// Anything with an address goes to the server as it is; what comes from there is looked up.
function anything() {
    var words = arrayfromargs(arguments);
    if (inlet === 1) hear(messagename, words);
    else if (messagename.charAt(0) === "/") say.apply(this, [messagename].concat(words));
    else failed("bad_args", messagename + ": not a command of [retimbre]");
}

// ------------------------------------------------------------------ one job

function isBusy() {
    if (job) failed("busy", "a job runs; cancel it first, or use another [retimbre]");
    return job !== null;
}

function begin(path, text) {
    if (isBusy()) return;
    if (!text.match(/\S/)) { failed("bad_args", "edit: expected words that say what to do"); return; }
    var packet = ["/retimbre/edit", nextId, path, text];
    for (var name in keys) packet.push(name, keys[name]);
    start(packet);
}

function start(packet) {
    job = {id: nextId++, packet: packet, isAcknowledged: false, sentAt: now(), heardAt: now(), askedAt: 0, stems: {}, stemCount: 0};
    say.apply(this, packet);
    outlet(PROGRESS, -1, "sent");
}

function sendBuffer() {
    var file = folderPath + "/" + me + "-" + nextId + ".wav";
    new Buffer(waiting.name).send("writewave", file);
    var text = waiting.text;
    waiting = null;
    begin(file, text);
}

function failed(code, message) { outlet(FAIL, code, message); }

function end(id, serial) {
    if (serial > 0) say("/retimbre/got", id, serial);      // also for a repeat: our last /got may have been lost
    if (!job || job.id !== id) return false;
    lastId = id;
    job = null;
    return true;
}

// ------------------------------------------------------------------ what the server says

var ANSWERS = {
    "/retimbre/ack": function (id) { job.isAcknowledged = true; },
    "/retimbre/progress": function (id, fraction, stage) { outlet(PROGRESS, fraction, stage); },
    "/retimbre/job/info": function (id, state, fraction) { job.isAcknowledged = true; outlet(PROGRESS, fraction, state); },
    "/retimbre/result": function (id, index, stem, path, rate, channels, frames, start, beats) {
        if (job.stems[index]) return;                       // all come again when one was lost
        job.stems[index] = true;
        job.stemCount++;
        if (target && index === 0) new Buffer(target).send("replace", path);
        outlet(RESULT, index, stem, path, rate, channels, frames, start, beats);
    }
};

var OTHERS = {
    "/retimbre/done": function (command, id, serial, results, seed, manifest, seconds) {
        if (command === "/retimbre/notify") welcomed();
        else if (JOBS.indexOf(command) >= 0) {
            if (job && job.id === id && job.stemCount < results) say("/retimbre/job/query", id);
            else if (end(id, serial)) outlet(DONE, results, seed, seconds);
        }
    },
    "/retimbre/fail": function (command, id, code, message, serial) {
        if (!(serial > 0) && !(job && job.id === id)) failed(code, message);        // of a command, not of a job
        else if (end(id, serial)) failed(code, message);
    },
    "/retimbre/folder.reply": function (path) {
        folderPath = path;
        news("folder", path);
        if (waiting) sendBuffer();
    },
    "/retimbre/preset/item": function (name, title) { news("menu", "append", name); news("preset", name, title); },
    "/retimbre/preset/list.end": function (count) { news("presets", count); },
    "/retimbre/preset/changed": function () { presets(); },
    "/retimbre/log": function (level, text) { news("log", level, text); },
    "/retimbre/state": function (state) { news("state", state); },
    "/retimbre/pong": function () { }
};

function hear(address, words) {
    lastHeard = now();
    unanswered = 0;
    if (ANSWERS.hasOwnProperty(address)) {
        if (!job || job.id !== words[0]) return;            // of a job that has ended
        job.heardAt = now();
        ANSWERS[address].apply(this, words);
    } else if (OTHERS.hasOwnProperty(address)) OTHERS[address].apply(this, words);
    else news.apply(this, [address].concat(words));
}

// ------------------------------------------------------------------ the clock

function register() {
    lastAsked = now();
    outlet(LISTEN, "port", listenPort);
    say("/retimbre/notify", 1, listenPort, me);
}

function reconnect() { isConnected = false; unanswered = 0; register(); }

function welcomed() {
    if (isConnected) return;
    isConnected = true;
    news("connected", 1);
    presets();
    folder();
}

function tick() {
    keepConnected();
    if (job) watch();
}

// Nobody answers: the server is not there, or another program has our port. So ask again, from another port if it may be.
function keepConnected() {
    var time = now();
    if (isConnected && time - lastHeard > SILENCE_MS) {
        if (unanswered < 2) { if (time - lastAsked > RESEND_MS) { unanswered++; lastAsked = time; say("/retimbre/ping"); } }
        else { isConnected = false; unanswered = 0; news("connected", 0); }
    } else if (!isConnected && time - lastAsked > RESEND_MS) {
        if (!fixedPort && ++unanswered % 3 === 0) listenPort = randomPort();
        register();
    }
}

function watch() {
    var time = now();
    if (time - job.heardAt > SILENCE_MS) {
        var id = job.id;
        end(id, 0);
        failed("timed_out", "nothing was heard from the server for " + SILENCE_MS / 1000 + " s; is `retimbre serve` running?");
    } else if (!job.isAcknowledged && time - job.sentAt > RESEND_MS) {
        job.sentAt = time;
        say.apply(this, job.packet);
    } else if (job.isAcknowledged && time - Math.max(job.heardAt, job.askedAt) > QUERY_MS) {
        job.askedAt = time;
        say("/retimbre/job/query", job.id);
    }
}

// ------------------------------------------------------------------ paths

// "Macintosh HD:/Users/me/a.wav", as Max writes paths on macOS, is /Users/me/a.wav; another disk lies in /Volumes.
function nativePath(path) {
    var parts = path.match(/^([^:\/\\]{2,}):(\/.*)$/);       // C:/ has one letter and stays
    if (!parts) return path;
    var boot = String(max.apppath).match(/^([^:\/\\]{2,}):\//);
    return boot && boot[1] !== parts[1] ? "/Volumes/" + parts[1] + parts[2] : parts[2];
}
