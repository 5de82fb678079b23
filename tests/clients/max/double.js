// A double of Max for one patch: node double.js SCENARIO.json
//
// It loads the generated patch, runs the real scripts in it, hands messages along its cords as Max does, and gives
// udpsend and udpreceive real sockets. Live, in the scenario, is a plain tree. What arrives at a box is printed, one
// JSON line each: {"box": …, "inlet": …, "message": […]}; packets as {"sent": hex}.
"use strict";
const dgram = require("dgram"), fs = require("fs"), path = require("path"), vm = require("vm");

const scenario = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const patcher = scenario.patcher;
const boxes = new Map(patcher.boxes.map(({box}) => [box.id, {...box, words: (box.text || "").split(" ")}]));
const waiting = [];                                   // steps of the scenario that wait for a message
let failed = false;

const heard = [];
function print(record) {
    heard.push(JSON.stringify(record));
    fs.writeSync(1, heard[heard.length - 1] + "\n");
}
function die(problem) { failed = true; fs.writeSync(2, `${problem}\n`); process.exit(3); }
function named(name) {
    const found = [...boxes.values()].find(box => box.varname === name || box.text === name || box.maxclass === name);
    return found || die(`no box ${name}`);
}

// Max calls right to left; among cords of one outlet, too. Order does not matter to these patches beyond trigger's.
function send(box, outlet, message) {
    for (const {patchline} of patcher.lines)
        if (patchline.source[0] === box.id && patchline.source[1] === outlet)
            receive(boxes.get(patchline.destination[0]), patchline.destination[1], message);
}

function receive(box, inlet, message) {
    print({box: box.varname || box.text || box.maxclass, id: box.id, inlet, message});
    const kind = box.maxclass === "newobj" ? box.words[0] : box.maxclass;
    (OBJECTS[kind] || die(`the double has no ${kind}`)).receive(box, inlet, message);
    for (const step of waiting.splice(0)) step();
}

const sink = {receive() { }};
const through = {receive(box, inlet, message) { send(box, 0, message); }};
const isValue = message => message.length === 1 && message[0] !== "bang";

const OBJECTS = {
    "print": sink, "comment": sink, "slider": sink, "ezdac~": sink, "plugin~": sink, "plugout~": sink, "sfplay~": sink,
    "buffer~": sink, "outlet": {receive(box, inlet, message) { print({outlet: box.index, message}); }},
    "inlet": through, "live.dial": through, "live.numbox": through, "live.toggle": through, "toggle": through,
    "button": {receive(box) { send(box, 0, ["bang"]); }},
    "textbutton": {receive(box) { send(box, 0, ["bang"]); }},
    "opendialog": {receive(box, inlet, message) { send(box, 0, message); }},
    "live.thisdevice": {receive(box) { send(box, 0, ["bang"]); }},
    "textedit": {receive(box, inlet, message) {
        if (message[0] === "set") box.text = message.slice(1).join(" ");
        else send(box, 0, ["text", ...box.text.split(" ")]);
    }},
    "prepend": {receive(box, inlet, message) {
        send(box, 0, [...box.words.slice(1), ...(message[0] === "bang" ? [] : message)]);
    }},
    "route": {receive(box, inlet, message) {
        const at = box.words.slice(1).indexOf(message[0]);
        if (at < 0) send(box, box.words.length - 1, message);
        else send(box, at, message.length > 1 ? message.slice(1) : ["bang"]);
    }},
    "unpack": {receive(box, inlet, message) {
        for (let at = Math.min(message.length, box.numoutlets) - 1; at >= 0; at--) send(box, at, [message[at]]);
    }},
    "trigger": {receive(box, inlet, message) {
        for (let at = box.words.length - 2; at >= 0; at--) send(box, at, [box.words[at + 1]]);
    }},
    "message": {receive(box, inlet, message) {
        if (message[0] === "set") { box.text = message.slice(1).join(" "); return; }
        const words = box.text.split(" ").map(word => word === "$1" ? message[0] : isNaN(word) ? word : Number(word));
        send(box, 0, words);
    }},
    "umenu": {receive(box, inlet, message) {
        if (!box.list) box.list = ["-"];
        if (message[0] === "clear") box.list = [];
        else if (message[0] === "append") box.list.push(message.slice(1).join(" "));
        else if (isValue(message)) { send(box, 1, [box.list[message[0]]]); send(box, 0, message); }
        else die(`umenu does not take ${message}`);
    }},
    "udpsend": {
        start(box) { box.socket = dgram.createSocket("udp4"); box.target = [box.words[1], Number(box.words[2])]; },
        receive(box, inlet, message) {
            if (message[0] === "host") { box.target[0] = message[1]; return; }
            if (message[0] === "port") { box.target[1] = message[1]; return; }
            const packet = encode(message);
            print({sent: packet.toString("hex")});
            if (scenario.deaf) { scenario.deaf -= 1; return; }          // this one is lost on the way
            box.socket.send(packet, scenario.port, box.target[0]);
        }
    },
    "udpreceive": {receive(box, inlet, message) {
        if (message[0] !== "port") die(`udpreceive does not take ${message}`);
        if (box.port === message[1]) return;
        if (box.socket) box.socket.close();
        box.port = message[1];
        box.socket = dgram.createSocket("udp4").on("message", packet => {
            const message = decode(packet);
            if (message[0] === scenario.loses) { scenario.loses = ""; return; }     // this one is lost on the way
            send(box, 0, message);
        });
        box.socket.bind(box.port, "127.0.0.1");
    }},
    "js": {start: startScript, receive: callScript}
};

// ---------------------------------------------------------------- OSC, as Max writes it: i for whole numbers, f, s

const padded = length => Math.ceil(length / 4) * 4;
function text(value) { const raw = Buffer.from(value + "\0"); return Buffer.concat([raw, Buffer.alloc(padded(raw.length) - raw.length)]); }

function encode(message) {
    const tags = message.slice(1).map(value => typeof value === "string" ? "s" : Number.isInteger(value) ? "i" : "f");
    const values = message.slice(1).map((value, at) => {
        if (tags[at] === "s") return text(value);
        const raw = Buffer.alloc(4);
        if (tags[at] === "i") raw.writeInt32BE(value); else raw.writeFloatBE(value);
        return raw;
    });
    return Buffer.concat([text(message[0]), text("," + tags.join("")), ...values]);
}

function decode(packet) {
    let at = 0;
    const string = () => { const end = packet.indexOf(0, at), value = packet.toString("utf8", at, end); at = padded(end + 1); return value; };
    const message = [string()];
    for (const tag of string().slice(1)) {
        if (tag === "s") { message.push(string()); continue; }
        message.push(tag === "i" ? packet.readInt32BE(at) : packet.readFloatBE(at));
        at += 4;
    }
    return message;
}

// ---------------------------------------------------------------- [js]: what the scripts may use, and no more

function startScript(box) {
    const scope = {
        jsarguments: [box.words[1], ...box.words.slice(2).map((word, at) => (scenario.arguments || [])[at] ?? 0)],
        inlet: 0, messagename: "", max: {apppath: "Macintosh HD:/Applications/Max.app"},
        outlet(number, ...message) {
            if (number >= scope.outlets) die(`${box.text}: there is no outlet ${number}`);
            message = message.length === 1 && Array.isArray(message[0]) ? [...message[0]] : message;
            if (message.some(value => !["number", "string"].includes(typeof value) || Number.isNaN(value)))
                die(`${box.text}: cannot go out: ${JSON.stringify(message)}`);
            send(box, number, message);
        },
        post(line) { print({post: line}); },
        arrayfromargs: words => Array.prototype.slice.call(words),
        setinletassist() { }, setoutletassist() { },
        Task: function (action) {
            this.repeat = () => { clearInterval(this.timer); this.timer = setInterval(guarded(action), scenario.tick || this.interval); };
            this.cancel = () => clearInterval(this.timer);
        },
        Buffer: function (name) { this.send = (...message) => { print({buffer: name, message}); writeBuffer(name, message); }; },
        LiveAPI
    };
    box.scope = vm.createContext(scope);
    vm.runInContext(fs.readFileSync(path.join(scenario.folder, box.words[1]), "utf8"), box.scope, box.words[1]);
    if (scope.inlets !== box.numinlets || scope.outlets !== box.numoutlets) die(`${box.text}: its ports are not the box's`);
}

function guarded(action) { return (...words) => { try { action(...words); } catch (error) { die(error.stack); } }; }

function callScript(box, inlet, message) {
    const scope = box.scope, name = typeof message[0] === "number" ? "msg_" + (Number.isInteger(message[0]) ? "int" : "float") : message[0];
    scope.inlet = inlet;
    scope.messagename = name;
    const own = vm.runInContext(`typeof this[${JSON.stringify(name)}]`, scope) === "function";
    guarded((own ? scope[name] : scope.anything) || (() => die(`${box.text} does not take ${message}`)))(...(message.slice(1)));
}

function writeBuffer(name, message) {
    if (message[0] === "writewave") fs.copyFileSync(scenario.buffers[name], message[1]);
}

// ---------------------------------------------------------------- Live, a plain tree

const live = scenario.live || {}, numbered = [];

function find(place) {
    const words = place.split(" ");
    if (words[0] === "id") return numbered[Number(words[1]) - 1];
    if (place === "live_app") return {node: {}, place};
    if (place === "live_set view detail_clip") return live.detail ? find(live.detail) : undefined;
    let node = live, at = 1;
    while (node && at < words.length) node = node[words[at++]];
    return node && {node, place};
}

function LiveAPI(place) {
    const found = find(place);
    const known = found && numbered.findIndex(one => one.node === found.node);
    if (found && known < 0) numbered.push(found);
    this.id = found ? (known < 0 ? numbered.length : known + 1) : 0;
    this.unquotedpath = found ? found.place : "";
    const node = found ? found.node : {};
    const child = clip => { print({live: place, created: clip}); return ["id", new LiveAPI("id " + (numbered.push({node: clip, place: place + " clip"}))).id]; };
    this.get = name => name in node ? [node[name]] : die(`Live has no ${name} in ${place}`);
    this.set = (name, value) => { print({live: this.unquotedpath, set: [name, value]}); node[name] = value; };
    this.call = (name, ...words) => {
        print({live: place, call: [name, ...words]});
        if (name.startsWith("get_")) return [live.version[["get_major_version", "get_minor_version", "get_bugfix_version"].indexOf(name)]];
        if (name === "create_audio_track")
            return live.tracks.splice(words[0], 0, {name: "", clip_slots: Array.from({length: 8}, () => ({})), arrangement_clips: []});
        if (name !== "create_audio_clip") die(`Live has no ${name}`);
        const clip = {file_path: words[0], start_time: words[1] ?? 0, warping: 1};
        if (words.length === 1) node.clip = clip; else node.arrangement_clips.push(clip);
        return child(clip);
    };
}

// ---------------------------------------------------------------- the scenario

let expecting = "";
function until(expected) {
    expecting = expected;
    const fits = () => heard.some(record => record.includes(expected));
    return new Promise(resolve => { const look = () => fits() ? resolve() : waiting.push(look); look(); });
}

async function run() {
    setTimeout(() => die(`patience is at an end; waiting for: ${expecting}\n${heard.slice(-12).join("\n")}`), 50000);
    for (const box of boxes.values()) (OBJECTS[box.words[0]] || OBJECTS[box.maxclass] || {}).start?.(box);
    for (const box of boxes.values()) if (box.scope?.loadbang) guarded(box.scope.loadbang)();
    for (const step of scenario.steps) {
        if (typeof step === "string") await until(step);
        else receive(named(step[0]), 0, step.slice(1));
    }
    if (live.tracks) print({tracks: live.tracks});
    process.exit(0);
}

run().catch(error => die(error.stack));
