// The Live device's own part: which region is chosen, and putting the stem on a new track at the same beat.
//
// It knows Live (through LiveAPI) and not the network: it hands `edit PATH WORDS` to retimbre.js and hears back what
// came of it. LiveAPI works once live.thisdevice has banged, and only in Max's low-priority thread, where [js] runs.

autowatch = 1;
inlets = 2;      // 0: the device's controls; 1: what retimbre.js says
outlets = 4;

var CORE = 0, STATUS = 1, PLAYER = 2, LIGHTS = 3;            // the outlets
var NEEDED = [12, 0, 5];                                     // create_audio_clip came with this version of Live
var ADVICE = " Consolidate or freeze and flatten it, or switch Warp off, and try again.";

var words = "";
var place_ = null;       // where the region came from: {track, slot or beat, gain, name}
var stems = [];

setinletassist(0, "bang when Live is there; text, style1, style2, blend, knob, own, seed; go, cancel, audition, stop, place");
setinletassist(1, "from retimbre.js");
setoutletassist(CORE, "to retimbre.js");
setoutletassist(STATUS, "to the status line");
setoutletassist(PLAYER, "to sfplay~");
setoutletassist(LIGHTS, "progress 0..1");

// ------------------------------------------------------------------ asking Live

function at(path) { return new LiveAPI(path); }
function exists(object) { return Number(object.id) !== 0; }

// get() answers with a list, also where there is one value.
function number(object, name) { return Number(as_list(object.get(name))[0]); }
function text_of(object, name) { return as_list(object.get(name)).join(" "); }
function as_list(value) { return Array.isArray(value) ? value : [value]; }

function version() {
    var app = at("live_app");
    return ["get_major_version", "get_minor_version", "get_bugfix_version"].map(function (name) {
        return Number(as_list(app.call(name))[0]);
    });
}

function isBefore(one, other) {
    for (var i = 0; i < other.length; i++) if (one[i] !== other[i]) return one[i] < other[i];
    return false;
}

// ------------------------------------------------------------------ the region

// {path, start, length} in seconds of the file, and in `place` what put the stem back there. Throws what to tell.
function region() {
    var chosen = at("live_set view detail_clip");
    if (!exists(chosen)) throw "Click a clip first: the one that Live shows in its Clip View is taken.";
    var clip = at("id " + chosen.id);
    if (!number(clip, "is_audio_clip")) throw "This is a MIDI clip; freeze and flatten its track first.";
    if (number(clip, "pitch_coarse") || number(clip, "pitch_fine")) throw "The clip is transposed, so its file is not what you hear." + ADVICE;
    var song = at("live_set");
    var tempo = number(song, "tempo");
    var seconds = clock_of(clip, tempo);
    var part = number(clip, "is_arrangement_clip") ? of_arrangement(clip, song) : of_session(clip, tempo);
    var start = seconds(part.from), end = seconds(part.to);
    if (start < 0 || end <= start) throw "The clip begins before its file does; drag its start into the sound.";
    return {
        path: text_of(clip, "file_path"), start: start, length: end - start, tempo: tempo,
        place: {track: index_of(clip, "tracks"), slot: part.slot, beat: part.beat, gain: number(clip, "gain"),
                name: text_of(clip, "name")}
    };
}

function index_of(object, kind) {
    var found = object.unquotedpath.match(new RegExp(kind + " (\\d+)"));
    return found ? Number(found[1]) : -1;
}

// A function from the clip's own time to seconds of its file. An unwarped clip counts in seconds already. A warped one
// counts in beats; it is taken when all its markers run at the song's tempo, for then Warp changes nothing.
function clock_of(clip, tempo) {
    if (!number(clip, "warping")) return function (seconds) { return seconds; };
    var markers = markers_of(clip);
    for (var i = 1; i < markers.length; i++) {
        var beats = markers[i].beat_time - markers[i - 1].beat_time;
        var runs = 60 * beats / (markers[i].sample_time - markers[i - 1].sample_time);
        if (!(Math.abs(runs / tempo - 1) < 1e-4)) throw "The clip is warped to another tempo, so its file is not what you hear." + ADVICE;
    }
    return function (beat) { return markers[0].sample_time + (beat - markers[0].beat_time) * 60 / tempo; };
}

function markers_of(clip) {
    var markers = null;
    try {
        markers = JSON.parse(text_of(clip, "warp_markers")).warp_markers;
    } catch (error) {
        post("retimbre: warp markers cannot be read: " + error + "\n");   // Live before 11, or another form of them
    }
    if (!markers || markers.length < 2) throw "The clip is warped, and this Live does not tell how." + ADVICE;
    return markers;
}

function of_session(clip, tempo) {
    return {from: number(clip, "loop_start"), to: number(clip, "loop_end"), slot: index_of(clip, "clip_slots"), beat: null};
}

// The clip as it lies in the arrangement, cut to the loop brace where that is on and crosses it.
function of_arrangement(clip, song) {
    var tempo = number(song, "tempo");
    var scale = number(clip, "warping") ? 1 : 60 / tempo;             // of the clip's own time, per beat
    var first = number(clip, "start_time"), last = number(clip, "end_time");
    var origin = number(clip, number(clip, "looping") ? "start_marker" : "loop_start");
    if (number(clip, "looping") && origin + (last - first) * scale > number(clip, "loop_end") + 1e-6)
        throw "The clip repeats its loop; consolidate it first, so that there is one file for all of it.";
    var from = first, to = last;
    if (number(song, "loop")) {
        var brace = number(song, "loop_start"), brace_end = brace + number(song, "loop_length");
        if (brace < last && brace_end > first) { from = Math.max(first, brace); to = Math.min(last, brace_end); }
    }
    return {from: origin + (from - first) * scale, to: origin + (to - first) * scale, slot: null, beat: from};
}

// ------------------------------------------------------------------ the controls

function tell(message) { outlet(STATUS, "set", String(message)); }

// Run it and tell what went wrong. Strings are thrown for people; anything else is our mistake and shows in the Max window.
function guarded(action) {
    try {
        action();
    } catch (problem) {
        tell(problem);
        if (typeof problem !== "string") post("retimbre: " + problem + "\n");
    }
}

function bang() { outlet(CORE, "loadbang"); tell("looking for the server..."); }
function text() { words = arrayfromargs(arguments).join(" "); }

function go() {
    guarded(function () {
        if (!words.match(/\S/)) throw "Write what to do: turn this into a violin";
        var chosen = region();
        place_ = chosen.place;
        stems = [];
        // As text: OSC's floats have 24 bits, and after three minutes a sample is less than their last one.
        outlet(CORE, "key", "start", chosen.start.toFixed(9));
        outlet(CORE, "key", "length", chosen.length.toFixed(9));
        outlet(CORE, "key", "tempo", chosen.tempo);
        outlet(CORE, "key", "beats_start", place_.beat === null ? 0 : place_.beat);
        style();
        turn_knobs();
        outlet(CORE, ["edit", chosen.path].concat(words));
    });
}

function cancel() { outlet(CORE, "cancel"); }

var styles = ["", ""], share = 0;      // share: how much of the second style
function style1(name) { styles[0] = name === "-" ? "" : String(name); }
function style2(name) { styles[1] = name === "-" ? "" : String(name); }
function blend(value) { share = Number(value); }

function style() {
    if (styles[0] && styles[1] && share > 0) outlet(CORE, "key", "preset", [styles[0], 1 - share, styles[1], share].join(" "));
    else if (styles[0] || styles[1]) outlet(CORE, "key", "preset", styles[0] || styles[1]);
    else outlet(CORE, "key", "preset");
}

// Dials always show a number. Only while `own` is on do theirs count; otherwise the style's do.
var knobs = {}, isOwn = false;
function knob(name, value) { knobs[name] = value; }
function own(is) { isOwn = Boolean(is); }
function seed(value) { outlet(CORE, "key", "seed", value); }

function turn_knobs() {
    for (var name in knobs) {
        if (isOwn) outlet(CORE, "key", name, knobs[name]);
        else outlet(CORE, "key", name);
    }
}

function audition() {
    if (!stems.length) { tell("There is no stem yet."); return; }
    outlet(PLAYER, "open", stems[0].path);
    outlet(PLAYER, 1);
}

function stop() { outlet(PLAYER, 0); }

// ------------------------------------------------------------------ putting it back

// One new track per stem, behind the region's own. Live counts each track and each clip as an undo step.
function place() {
    guarded(function () {
        if (!stems.length) throw "There is no stem yet.";
        stop();
        var has = version();
        if (isBefore(has, NEEDED)) throw "Live " + has.join(".") + " cannot place clips for a device (" + NEEDED.join(".") +
            " can). Drag it in by hand: " + stems[0].path;
        stems.forEach(function (stem, count) { place_one(stem, place_.track + 1 + count); });
        tell(stems.length === 1 ? "Placed on the track behind." : "Placed on " + stems.length + " tracks behind.");
    });
}

function place_one(stem, index) {
    at("live_set").call("create_audio_track", index);
    var track = at("live_set tracks " + index);
    track.set("name", stem.name);
    var clip = place_.slot === null ? arrange(track, stem) : fill(index, stem);
    if (!exists(clip)) throw "Live did not take the file. Drag it in by hand: " + stem.path;
    clip.set("warping", 0);             // it is in time as it is
    clip.set("gain", place_.gain);      // the stem is as loud as the region was before the clip's gain
    clip.set("name", words);
}

function arrange(track, stem) {
    return at("id " + as_list(track.call("create_audio_clip", stem.path, place_.beat)).slice(-1)[0]);
}

function fill(index, stem) {
    var path = "live_set tracks " + index + " clip_slots " + place_.slot;
    at(path).call("create_audio_clip", stem.path);
    return at(path + " clip");
}

// ------------------------------------------------------------------ what retimbre.js says

function progress(fraction, stage) {
    outlet(LIGHTS, Math.max(0, fraction));
    tell(stage + (fraction > 0 ? " " + Math.round(100 * fraction) + " %" : "..."));
}

function result(index, stem, path) { stems.push({name: stem, path: path}); }

function done(count, seed, seconds) {
    outlet(LIGHTS, 1);
    tell(count + (count === 1 ? " stem" : " stems") + ", seed " + seed + ": Audition or Place");
}

function fail(code, message) {
    outlet(LIGHTS, 0);
    tell(code === "cancelled" ? "Cancelled." : code + ": " + message);
}

function connected(is) { tell(is ? "Ready: choose a clip." : "The server is gone; start it with: retimbre serve"); }
