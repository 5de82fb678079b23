"""The table: every address that may travel, with its arguments, units, ranges and answers.

Rule 1: this file is the protocol. Decoding, encoding, checking and docs/osc.md read it; none
repeats it.
Rule 2: whatever a reply's row allows fits one datagram of 1400 bytes (audio chunks apart).
Rule 3: the first argument of everything about a job is the client's id, and comes back as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from osc_protocol.rows import Address, Arg, Reply

DEFAULT_PORT = 11020  # UDP and TCP
REPLY_PORT = 11021  # for clients that listen on a fixed port (Pd, Max)
HTTP_PORT = 11022
PROTOCOL_VERSION = 1  # grows when an old client would break

PATH_BYTES = 1024  # macOS' PATH_MAX
TEXT_BYTES = 1024  # more than any of our text encoders reads
MESSAGE_BYTES = 900  # of free text from us
DEVICE_BYTES = 128  # names of sound devices
MIXTURE_BYTES = 512  # of style names with weights
CHUNK_BYTES = 1 << 20  # of audio in one message, over TCP
MISSING_AT_MOST = 32  # indexes in one /audio/missing

STATES = ("starting", "loading", "warming", "ready", "busy", "draining", "error")
LIVE_STATES = ("off", "starting", "running", "lost")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
STAGES = (
    "queued",
    "downloading",
    "loading",
    "compiling",
    "encoding",
    "generating",
    "decoding",
    "fitting",
    "writing",
)
# whole files, then raw interleaved samples
AUDIO_FORMATS = ("wav", "flac", "aiff", "f32le", "s24le", "s16le")


def _by_name(args: Iterable[Arg]) -> Mapping[str, Arg]:
    return MappingProxyType({arg.name: arg for arg in args})


def _by_path(sections: Mapping[str, tuple]) -> Mapping[str, Any]:
    return MappingProxyType({row.path: row for rows in sections.values() for row in rows})


# -------------------------------------------------------------------------------------------------
# shared arguments

ID = Arg("id", "id", help="yours to choose; 0 or an empty string: the server chooses, see /ack")
LOAD_ID = Arg("id", "id", default=0, help="names this load in /progress and /cancel")
AUDIO = Arg(
    "audio", "s", high=PATH_BYTES, help="a file under an allowed root, or the handle of an upload"
)
START = Arg("start", "f", "seconds", low=0, default=0.0, help="where the region begins in the file")
LENGTH = Arg("length", "f", "seconds", low=0, default=0.0, help="0: to the end of the file")
COUNT = Arg("count", "i", low=0, help="how many items came before")
ETA = Arg("eta", "f", "seconds", low=-1, help="-1: unknown")
QUEUE_POSITION = Arg("queue_position", "i", low=0, help="0: it runs")
FRACTION = Arg("fraction", "f", low=-1, high=1, help="never falls; -1: unknown")
STATE = Arg("state", "s", choices=STATES)
RATE = Arg("rate", "i", "Hz", low=1)
CHANNELS = Arg("channels", "i", low=1)
FRAMES = Arg("frames", "i", low=0)
LATENCIES = (
    Arg("input_latency", "i", "frames", low=0, help="as the driver reports it"),
    Arg("output_latency", "i", "frames", low=0, help="as the driver reports it"),
)
XRUNS = Arg(
    "xruns",
    "i",
    low=0,
    help="how often sound was lost since /live/start; bars around one may be shifted",
)

EDIT_KEYS = _by_name(
    (
        Arg(
            "preset",
            "s",
            high=MIXTURE_BYTES,
            default="",
            help="a style from /preset/list, or several with weights: harp 0.7 pan_flute 0.3",
        ),
        Arg("model", "s", default="", help="a model from /model/list"),
        Arg(
            "seed",
            "i",
            low=-1,
            default=-1,
            help="-1: drawn below 2^24, so that Pd's floats can send it back",
        ),
        Arg(
            "strength",
            "f",
            low=0,
            high=2,
            default=None,
            help="how much the source is listened to (adapter scale)",
        ),
        Arg(
            "pooling",
            "i",
            low=1,
            high=8,
            default=None,
            help="how coarsely the source is heard: 1 fine, 8 coarse",
        ),
        Arg(
            "fidelity",
            "f",
            low=0,
            high=2,
            default=None,
            help="how strictly its balance of notes and attacks are kept",
        ),
        Arg(
            "guidance",
            "f",
            low=0,
            high=10,
            default=None,
            help="how strictly the text is obeyed; 1: as it comes",
        ),
        Arg(
            "guidance_from",
            "f",
            low=0,
            high=1,
            default=None,
            help="guidance begins at this part of the way from noise (0) to sound (1); shorter is quicker",
        ),
        Arg("guidance_to", "f", low=0, high=1, default=None, help="guidance ends there"),
        Arg(
            "negative", "s", high=TEXT_BYTES, default=None, help="what to move away from, in words"
        ),
        Arg(
            "steps",
            "i",
            low=1,
            high=100,
            default=None,
            help="sampling steps: more is slower and finer",
        ),
        Arg(
            "temperature",
            "f",
            low=0,
            high=4,
            default=None,
            help="of a language model: more is bolder, 0 the likeliest",
        ),
        Arg(
            "top_k",
            "i",
            low=1,
            high=2048,
            default=None,
            help="of a language model: the likeliest so many are drawn",
        ),
        START,
        LENGTH,
        Arg(
            "fit",
            "s",
            choices=("same",),
            default="same",
            help="same: the stem has the region's rate, channels, frames",
        ),
        Arg(
            "format", "s", choices=("wav", "flac", "aiff"), default="wav", help="of the stem's file"
        ),
        Arg(
            "bits",
            "s",
            choices=("same", "f32", "s24", "s16"),
            default="same",
            help="of the stem's samples",
        ),
        Arg(
            "level",
            "s",
            choices=("match", "none"),
            default="match",
            help="match: as loud as the region",
        ),
        Arg(
            "out",
            "s",
            high=PATH_BYTES,
            default="",
            help="a folder under an allowed root that gets the stems",
        ),
        Arg(
            "tempo",
            "f",
            "bpm",
            low=0,
            high=400,
            default=0.0,
            help="of the region, if you know it; 0: it is heard",
        ),
        Arg(
            "beats_start",
            "f",
            "beats",
            default=0.0,
            help="the region's place on your timeline; comes back in /result",
        ),
        Arg(
            "takes", "i", low=1, high=8, default=1, help="how many versions, each with its own seed"
        ),
        Arg(
            "stems",
            "s",
            high=256,
            default="",
            help="which stems, comma separated; empty: all that the model makes",
        ),
        Arg("priority", "i", low=-10, high=10, default=0, help="higher is served first"),
        Arg(
            "deadline",
            "f",
            "seconds",
            low=0,
            default=0.0,
            help="fail with timed_out if not done by then; 0: never",
        ),
    )
)
REGION_KEYS = _by_name(arg for arg in EDIT_KEYS.values() if arg not in (START, LENGTH))

PLAY_TIMES_AT_MOST = 64
# /capture knows these from the clock
MEASURED_LATER = ("start", "length", "tempo", "beats_start")
CAPTURE_KEYS = _by_name(
    (
        *(arg for arg in EDIT_KEYS.values() if arg.name not in MEASURED_LATER),
        Arg(
            "play",
            "i",
            low=0,
            high=PLAY_TIMES_AT_MOST,
            default=1,
            help="how often the first stem is played, in time, from the next bar line after it is done; 0: not",
        ),
    )
)
LIVE_KEYS = _by_name(
    (
        Arg("rate", "i", "Hz", low=0, high=384_000, default=0, help="0: the input device's own"),
        Arg("channels", "i", low=1, high=64, default=2, help="at most so many, in and out"),
        Arg(
            "first",
            "i",
            low=1,
            high=64,
            default=1,
            help="input channel; 3 where an interface loops back to 3 and 4",
        ),
        Arg(
            "blocksize",
            "i",
            "frames",
            low=0,
            high=16384,
            default=0,
            help="of one call of the driver; 0: it chooses",
        ),
        Arg(
            "seconds",
            "f",
            "seconds",
            low=1,
            high=1200,
            default=64.0,
            help="how much sound is remembered; 64: 32 bars of 4/4 at 120 bpm",
        ),
    )
)
TRANSPORT_KEYS = _by_name(
    (
        Arg("meter_num", "i", low=1, high=64, default=4, help="the 6 of 6/8"),
        Arg("meter_den", "i", low=1, high=64, default=4, help="the 8 of 6/8"),
        Arg(
            "bar_line",
            "f",
            "beats",
            default=0.0,
            help="where any bar line lies; for music whose meter changes",
        ),
        Arg(
            "playing",
            "i",
            low=0,
            high=1,
            default=1,
            help="0: the DAW stands still, so bars end where it stopped",
        ),
        Arg(
            "offset",
            "f",
            "seconds",
            low=-10,
            high=10,
            default=0.0,
            help="how much later the sound arrives here than the DAW says that it is there",
        ),
    )
)
LIVE_STATE = Arg("state", "s", choices=LIVE_STATES)

JOB_REPLIES = ("ack", "progress", "result", "done", "fail")
JOB_DONE = (
    Arg("serial", "i", low=0, help="a repeat carries the same one; answer it with /got"),
    Arg("results", "i", low=0, help="how many /result came before"),
    Arg("seed", "i", help="the one that was used"),
    Arg("manifest", "s", high=PATH_BYTES, help="a JSON file: all that made these stems"),
    Arg("seconds", "f", "seconds", low=0, help="from /ack to here"),
)

# An audio transfer may run either way: the side that has the audio opens, sends and closes; the
# other side answers.
AUDIO_OPEN = (
    ID,
    Arg("rate", "i", "Hz", low=0, default=0, help="0: the file's header says it"),
    Arg("channels", "i", low=0, default=0, help="0: the file's header says it"),
    Arg("frames", "i", low=0, default=0, help="0: the file's header says it"),
    Arg(
        "format",
        "s",
        choices=AUDIO_FORMATS,
        default="wav",
        help="a whole file, or raw samples (f32le, s24le, s16le)",
    ),
)
AUDIO_DATA = (
    ID,
    Arg("index", "i", low=0, help="0, 1, 2 … in any order"),
    Arg("bytes", "b", high=CHUNK_BYTES, help="at most chunk_bytes"),
)
AUDIO_CLOSE = (
    ID,
    Arg("chunks", "i", low=0, help="how many there are"),
    Arg("crc32", "s", help="of all bytes: eight hexadecimal digits"),
)
AUDIO_READY = (
    ID,
    Arg("chunk_bytes", "i", "bytes", low=1, high=CHUNK_BYTES, help="most in one /audio/data"),
    Arg("window", "i", low=1, high=1024, help="most chunks on their way without an /audio/ack"),
    Arg("handle", "s", help="stands for the audio in /edit and /region"),
)
AUDIO_ACK = (
    ID,
    Arg("index", "i", low=0, help="the chunk that arrived"),
    Arg("received", "i", low=0, help="how many different chunks have arrived"),
)
AUDIO_MISSING = (
    ID,
    Arg("indexes", "i", low=0, rest=MISSING_AT_MOST, help="send these again, then close again"),
)

# ---------------------------------------------------------------------------------------------------
# client to server

REQUESTS_BY_SECTION: Mapping[str, tuple[Address, ...]] = {
    "Jobs": (
        Address(
            "edit",
            "Turn a region into stems. The text is one string; a patch that sends words uses /say.",
            args=(ID, AUDIO, Arg("text", "s", high=TEXT_BYTES, help="what to do, in words")),
            keys=EDIT_KEYS,
            replies=JOB_REPLIES,
            done=JOB_DONE,
            critical=True,
        ),
        Address(
            "region",
            "Choose this client's current region, and keys for the jobs on it.",
            args=(ID, AUDIO, START, LENGTH),
            keys=REGION_KEYS,
            replies=("region.reply", "fail"),
        ),
        Address(
            "say",
            "Edit the current region. Made for message boxes.",
            args=(
                ID,
                Arg(
                    "text",
                    "s",
                    high=TEXT_BYTES,
                    rest=256,
                    help="what to do; words are joined by spaces",
                ),
            ),
            replies=JOB_REPLIES,
            done=JOB_DONE,
            critical=True,
        ),
        Address(
            "again",
            "Run an earlier job again, with changes. With none, the same audio comes back.",
            args=(ID, Arg("old_id", "id", help="the job to repeat")),
            keys=EDIT_KEYS,
            replies=JOB_REPLIES,
            done=JOB_DONE,
            critical=True,
        ),
        Address(
            "cancel",
            "Stop a job or a load. The job itself ends with /fail … cancelled; outputs stay untouched.",
            args=(ID,),
            replies=("done", "fail"),
            critical=True,
            done=(Arg("was_running", "i", low=0, high=1, help="0: it had ended before"),),
        ),
        Address(
            "cancel/all",
            "Stop all jobs of this client.",
            replies=("done",),
            critical=True,
            done=(Arg("cancelled", "i", low=0, help="how many jobs"),),
        ),
        Address(
            "job/query",
            "Where is it? After its end, the results and the /done or /fail come again.",
            args=(ID,),
            replies=("job/info", "result", "done", "fail"),
        ),
        Address(
            "got",
            "I have the /done or /fail of this job: stop repeating it.",
            args=(ID, Arg("serial", "i", low=0, default=0, help="0: whichever came last")),
        ),
        Address(
            "set",
            "Set keys for all later jobs of this client. Silent when all is well.",
            keys=EDIT_KEYS,
            replies=("fail",),
        ),
        Address(
            "get",
            "Ask for one of them.",
            args=(Arg("key", "s", choices=tuple(EDIT_KEYS)),),
            replies=("get.reply", "fail"),
        ),
    ),
    "Takes": (
        Address(
            "take/list",
            "What was made of a region, newest first.",
            args=(
                Arg(
                    "region", "s", default="", help="from /region.reply; empty: the current region"
                ),
            ),
            replies=("take/item", "take/list.end", "fail"),
        ),
        Address(
            "take/use",
            "Go back to a take: its results come again. By your own id, or by the server's job name.",
            args=(ID,),
            replies=("result", "done", "fail"),
            done=JOB_DONE,
        ),
    ),
    "Audio": (
        Address(
            "audio/open",
            "Begin an upload.",
            args=AUDIO_OPEN,
            replies=("audio/ready", "fail"),
            critical=True,
        ),
        Address(
            "audio/data",
            "One chunk of it.",
            args=AUDIO_DATA,
            replies=("audio/ack", "fail"),
            critical=True,
        ),
        Address(
            "audio/close",
            "All was sent.",
            args=AUDIO_CLOSE,
            replies=("audio/missing", "done", "fail"),
            critical=True,
            done=(Arg("handle", "s", help="use it where a path is wanted"),),
        ),
        Address(
            "audio/get",
            "Begin a download: the server now opens, sends and closes, and you answer:",
            args=(ID, Arg("audio", "s", high=PATH_BYTES, help="a path from /result, or a handle")),
            replies=("audio/open", "audio/data", "audio/close", "fail"),
            critical=True,
        ),
        Address("audio/ready", "Download: send.", args=AUDIO_READY),
        Address("audio/ack", "Download: this chunk arrived.", args=AUDIO_ACK),
        Address(
            "audio/missing",
            "Download: these did not arrive. With no index at all: everything did.",
            args=AUDIO_MISSING,
        ),
    ),
    "Live audio": (
        Address(
            "live/start",
            "Listen to an input and remember its last seconds. Sent again it changes nothing.",
            args=(
                Arg(
                    "input",
                    "s",
                    high=DEVICE_BYTES,
                    default="",
                    help="a part of a name, or a number, from /live/device; empty: the system's default",
                ),
                Arg(
                    "output", "s", high=DEVICE_BYTES, default="", help="the same; none: never play"
                ),
            ),
            keys=LIVE_KEYS,
            replies=("done", "fail", "live/state"),
            done=(RATE, CHANNELS, *LATENCIES),
        ),
        Address(
            "live/stop",
            "Stop listening, and forget the sound.",
            replies=("done", "live/state"),
            done=(),
        ),
        Address(
            "live/devices",
            "Which inputs and outputs are there now?",
            replies=("live/device", "live/devices.end", "fail"),
        ),
        Address("live/status", "How is live audio?", replies=("live/status.reply", "fail")),
        Address(
            "live/transport",
            "Where is the DAW? Send it when it starts, stops, jumps or changes tempo, and as "
            "often as you like between: messages come late, never early, so the earliest are believed. Silent when "
            "all is well, also while live audio is off.",
            args=(
                Arg("tempo", "f", "bpm", low=10, high=400, help="quarter notes a minute"),
                Arg(
                    "beat",
                    "f",
                    "beats",
                    default=0.0,
                    help="position now, in quarter notes; bar lines lie at whole bars from 0 (or see bar_line)",
                ),
            ),
            keys=TRANSPORT_KEYS,
            replies=("fail",),
        ),
        Address(
            "live/measure",
            "Play a short sweep on the output, find it in the input, and from here on compensate "
            "by what was found. The output must be heard by the input.",
            replies=("done", "fail"),
            done=(
                Arg("round_trip", "i", "frames", low=0, help="measured, output to input"),
                Arg("reported", "i", "frames", low=0, help="what the driver says of the same way"),
            ),
        ),
        Address(
            "live/play",
            "Play a stem of a take in time, from the next bar line on.",
            args=(
                ID,
                Arg("index", "i", low=0, default=0, help="of its /result"),
                Arg("times", "i", low=1, high=PLAY_TIMES_AT_MOST, default=1, help="back to back"),
            ),
            replies=("live/playing", "fail"),
        ),
        Address("live/silence", "Stop what is played.", replies=("done",), done=()),
        Address(
            "capture",
            "Edit the last whole bars, up to the last bar line that has passed: a job like /edit, whose "
            "stem is played in time when it is done. They become the current region, for /say and /take/list.",
            args=(
                ID,
                Arg("bars", "i", low=1, high=1024, help="how many"),
                Arg("text", "s", high=TEXT_BYTES, help="what to do, in words"),
            ),
            keys=CAPTURE_KEYS,
            replies=(*JOB_REPLIES, "region.reply", "live/playing"),
            done=JOB_DONE,
            critical=True,
        ),
    ),
    "Presets and models": (
        Address("preset/list", "All styles.", replies=("preset/item", "preset/list.end")),
        Address(
            "preset/get",
            "One style's settings.",
            args=(Arg("name", "s", help="from /preset/item"),),
            replies=("preset/param", "preset/get.end", "fail"),
        ),
        Address(
            "preset/blend",
            "Mix styles for all later jobs of this client; only the ratios of the weights count.",
            args=(
                Arg(
                    "mixture",
                    "s",
                    high=MIXTURE_BYTES,
                    rest=32,
                    help="names and weights in turn: harp 0.7 pan_flute 0.3",
                ),
            ),
            replies=("done", "fail"),
            done=(Arg("styles", "i", low=1, help="how many are mixed"),),
        ),
        Address(
            "preset/reload",
            "Read the files again. A mistake names file, line and field, and the old set stays.",
            replies=("done", "fail"),
            done=(Arg("presets", "i", low=0, help="how many there are"),),
        ),
        Address("model/list", "All models.", replies=("model/item", "model/list.end")),
        Address(
            "model/load",
            "Load and warm up a model before it is needed.",
            args=(Arg("name", "s", help="from /model/item"), LOAD_ID),
            replies=("progress", "done", "fail"),
            done=(Arg("seconds", "f", "seconds", low=0),),
            critical=True,
        ),
        Address(
            "model/unload",
            "Give its memory back.",
            args=(Arg("name", "s", help="from /model/item"), LOAD_ID),
            replies=("done", "fail"),
            done=(),
        ),
    ),
    "Server": (
        Address("status", "How is the server?", replies=("status.reply",)),
        Address("version", "Which server is it?", replies=("version.reply",)),
        Address(
            "folder",
            "Where may a client on the server's machine write a region for /edit?",
            replies=("folder.reply",),
        ),
        Address(
            "ping",
            "Is it there?",
            args=(Arg("echo", "any", rest=16, help="anything short"),),
            replies=("pong",),
        ),
        Address(
            "sync",
            "Answered when all commands before it were acknowledged or have ended.",
            args=(Arg("n", "i"),),
            replies=("synced",),
        ),
        Address(
            "notify",
            "Register for news, under a name. Replies go to where this came from, or to a port of yours: "
            "Max listens on another one than it sends from.",
            args=(
                Arg(
                    "on",
                    "i",
                    low=0,
                    high=2,
                    help="0: off; 1: my jobs and news; 2: other clients' jobs too",
                ),
                Arg(
                    "port",
                    "i",
                    low=0,
                    high=65535,
                    default=0,
                    help="where you listen; 0: where this came from",
                ),
                Arg(
                    "name",
                    "s",
                    default="",
                    help="who you are; keeps your state when your port moves",
                ),
            ),
            replies=("done", "fail"),
            done=(Arg("client", "i", low=0), Arg("port", "i", low=0, high=65535)),
        ),
        Address(
            "dump",
            "Trace messages, in the log and as /log.",
            args=(Arg("level", "i", low=0, high=2, help="0: off; 1: messages; 2: bytes too"),),
            replies=("done", "log"),
            done=(),
        ),
        Address(
            "auth",
            "Needed where the server listens beyond its own machine. Four tries, each slower.",
            args=(Arg("password", "s", high=256),),
            replies=("done", "fail"),
            done=(),
        ),
        Address(
            "quit",
            "Finish the running job, then stop.",
            replies=("done", "fail"),
            done=(),
            loopback_only=True,
        ),
    ),
}

# ---------------------------------------------------------------------------------------------------
# server to client

REPLIES_BY_SECTION: Mapping[str, tuple[Reply, ...]] = {
    "Jobs": (
        Reply(
            "ack",
            "Within milliseconds. The same id sent again never starts a second job.",
            (
                ID,
                Arg("job", "s", help="the server's name for it; also the id, if you sent none"),
                QUEUE_POSITION,
                ETA,
            ),
        ),
        Reply(
            "progress",
            "At most 5 a second, at least every 2 s. Silence for 10 s: the server is gone.",
            (ID, FRACTION, Arg("stage", "s", help=" ".join(STAGES)), ETA, QUEUE_POSITION),
        ),
        Reply(
            "result",
            "One stem; all of them come before /done.",
            (
                ID,
                Arg("index", "i", low=0),
                Arg("stem", "s"),
                Arg("path", "s", high=PATH_BYTES, help="a complete file, never written to again"),
                RATE,
                CHANNELS,
                FRAMES,
                Arg("start", "f", "seconds", low=0, help="where it belongs in the source file"),
                Arg("beats_start", "f", "beats", help="as you sent it"),
            ),
        ),
        Reply(
            "done",
            "A command has ended well; its own row says what follows the id. A job has exactly one /done or "
            "/fail, which over UDP is repeated until /got.",
            (Arg("command", "s", help="the address that is done"), ID),
        ),
        Reply(
            "fail",
            "A command has ended badly, or was not understood (id 0 if none could be read).",
            (
                Arg("command", "s", clip=True, help="the address that failed"),
                ID,
                Arg("code", "s", help="one of the codes below"),
                Arg(
                    "message",
                    "s",
                    high=MESSAGE_BYTES,
                    clip=True,
                    help="what was expected, what came, what to do",
                ),
                Arg(
                    "serial", "i", low=0, default=0, help="of a job's end, as in /done; otherwise 0"
                ),
            ),
        ),
        Reply(
            "job/info",
            "A job that has not ended.",
            (ID, Arg("state", "s", choices=JOB_STATES), FRACTION, QUEUE_POSITION),
        ),
        Reply(
            "region.reply",
            "The region, as the server reads the file.",
            (
                ID,
                RATE,
                CHANNELS,
                FRAMES,
                Arg("seconds", "f", "seconds", low=0),
                Arg("region", "s", help="its name in /take/list"),
            ),
        ),
        Reply(
            "get.reply",
            "An empty string: never set.",
            (Arg("key", "s"), Arg("value", "any", high=TEXT_BYTES)),
        ),
    ),
    "Takes": (
        Reply(
            "take/item",
            "",
            (
                ID,
                Arg("job", "s"),
                Arg("region", "s"),
                Arg("text", "s", high=512, clip=True),
                Arg("preset", "s"),
                Arg("seed", "i"),
                Arg("results", "i", low=0),
                Arg("created", "s", help="ISO 8601, UTC"),
                Arg("in_use", "i", low=0, high=1),
            ),
        ),
        Reply("take/list.end", "", (COUNT,)),
    ),
    "Audio": (
        Reply("audio/ready", "Upload: send.", AUDIO_READY),
        Reply("audio/ack", "Upload: this chunk arrived. Repeats are acknowledged too.", AUDIO_ACK),
        Reply("audio/missing", "Upload: these did not arrive.", AUDIO_MISSING),
        Reply("audio/open", "Download: here it comes.", AUDIO_OPEN),
        Reply("audio/data", "Download: one chunk.", AUDIO_DATA),
        Reply("audio/close", "Download: all was sent.", AUDIO_CLOSE),
    ),
    "Live audio": (
        Reply(
            "live/state",
            "Pushed to /notify clients when it changes, and when sound was lost.",
            (LIVE_STATE, Arg("reason", "s", high=MESSAGE_BYTES, clip=True, help="of lost"), XRUNS),
        ),
        Reply(
            "live/device",
            "",
            (
                Arg("index", "i", low=0),
                Arg("name", "s", high=DEVICE_BYTES, clip=True),
                Arg(
                    "system",
                    "s",
                    clip=True,
                    help="the sound system it belongs to: Core Audio, JACK, ALSA, …",
                ),
                Arg("inputs", "i", low=0),
                Arg("outputs", "i", low=0),
                RATE,
                Arg("is_input", "i", low=0, high=1, help="1: the default input"),
                Arg("is_output", "i", low=0, high=1, help="1: the default output"),
            ),
        ),
        Reply("live/devices.end", "", (COUNT,)),
        Reply(
            "live/status.reply",
            "Where live audio is off, all numbers are 0.",
            (
                LIVE_STATE,
                Arg("input", "s", high=DEVICE_BYTES, clip=True),
                Arg("output", "s", high=DEVICE_BYTES, clip=True),
                Arg("rate", "i", "Hz", low=0),
                Arg("channels", "i", low=0),
                *LATENCIES,
                Arg(
                    "round_trip",
                    "i",
                    "frames",
                    low=-1,
                    help="measured, see /live/measure; -1: not yet",
                ),
                XRUNS,
                Arg("seconds", "f", "seconds", low=0, help="the ring holds at most"),
                Arg("filled", "f", "seconds", low=0, help="the ring holds now"),
                Arg(
                    "peak",
                    "f",
                    "dBFS",
                    low=-200,
                    help="loudest input sample of the last half second; -200: silence",
                ),
                Arg("tempo", "f", "bpm", low=0, help="0: no /live/transport yet"),
                Arg("meter_num", "i", low=0),
                Arg("meter_den", "i", low=0),
                Arg("beat", "f", "beats", help="now"),
                Arg("bars", "i", low=0, help="whole bars that /capture could take now"),
            ),
        ),
        Reply(
            "live/playing",
            "A stem starts soon, at a bar line.",
            (
                ID,
                Arg("beat", "f", "beats", help="the bar line"),
                Arg("seconds", "f", "seconds", low=0, help="from now"),
                Arg("times", "i", low=1),
            ),
        ),
    ),
    "Presets and models": (
        Reply(
            "preset/item",
            "",
            (
                Arg("name", "s"),
                Arg("title", "s", high=128, clip=True),
                Arg("model", "s"),
                Arg("task", "s"),
                Arg("needs_audio", "i", low=0, high=1),
                Arg("max_seconds", "f", "seconds", low=0, help="0: no limit"),
                Arg("description", "s", high=512, clip=True),
            ),
        ),
        Reply("preset/list.end", "", (COUNT,)),
        Reply(
            "preset/param",
            "One setting.",
            (
                Arg("name", "s"),
                Arg("key", "s"),
                Arg("type", "s"),
                Arg("low", "f"),
                Arg("high", "f", help="low and high are both 0 where there is no range"),
                Arg("value", "s", high=512, clip=True),
                Arg("help", "s", high=256, clip=True),
            ),
        ),
        Reply("preset/get.end", "", (Arg("name", "s"), COUNT)),
        Reply("preset/changed", "Pushed to /notify clients: ask for the list again.", (COUNT,)),
        Reply(
            "model/item",
            "",
            (
                Arg("name", "s"),
                Arg("title", "s", high=128, clip=True),
                Arg("loaded", "i", low=0, high=1),
                Arg("licence", "s", high=128, clip=True),
                Arg("max_seconds", "f", "seconds", low=0, help="0: no limit"),
            ),
        ),
        Reply("model/list.end", "", (COUNT,)),
    ),
    "Server": (
        Reply(
            "ready",
            "Pushed to /notify clients: from here on jobs start at once.",
            (Arg("model", "s"), Arg("seconds", "f", "seconds", low=0, help="it took to get there")),
        ),
        Reply("state", "Pushed to /notify clients when it changes.", (STATE,)),
        Reply(
            "status.reply",
            "Memory is the device's: the GPU's where there is one.",
            (
                STATE,
                Arg("queued", "i", low=0),
                Arg("running", "i", low=0),
                Arg("memory_used", "f", "GB", low=0),
                Arg("memory_total", "f", "GB", low=0),
                Arg("model", "s"),
                Arg("device", "s"),
                Arg("uptime", "f", "seconds", low=0),
            ),
        ),
        Reply(
            "version.reply",
            "protocol grows when an old client would break.",
            (
                Arg("name", "s"),
                Arg("major", "i", low=0),
                Arg("minor", "i", low=0),
                Arg("patch", "s"),
                Arg("protocol", "i", low=1),
                Arg("commit", "s"),
            ),
        ),
        Reply(
            "folder.reply",
            "What is in it goes a day after it was written, as uploads do.",
            (Arg("path", "s", high=PATH_BYTES, help="with / on all systems, and none at its end"),),
        ),
        Reply("pong", "What /ping brought.", (Arg("echo", "any", rest=16),)),
        Reply("synced", "", (Arg("n", "i"),)),
        Reply(
            "log",
            "For people: warnings about your last message, and what /dump shows.",
            (
                Arg("level", "i", low=0, high=3, help="0 debug, 1 info, 2 warning, 3 error"),
                Arg("text", "s", high=MESSAGE_BYTES, clip=True),
            ),
        ),
    ),
}

ADDRESSES: Mapping[str, Address] = _by_path(REQUESTS_BY_SECTION)
REPLIES: Mapping[str, Reply] = _by_path(REPLIES_BY_SECTION)

ERROR_CODES: Mapping[str, str] = MappingProxyType(
    {
        "bad_packet": "the bytes are not an OSC message",
        "bad_args": "an argument is missing, of the wrong type, out of range, or one too many",
        "unknown_address": "no such address; the message names the nearest",
        "unknown_preset": "no such preset",
        "unknown_model": "no such model",
        "unknown_job": "no job of yours has this id, or it is forgotten",
        "unknown_take": "no such take",
        "unknown_upload": "no transfer of yours has this id, or it has expired",
        "no_region": "/say came before any /region",
        "no_file": "no such file",
        "path_denied": "the path leads outside the allowed roots",
        "bad_audio": "it cannot be read as audio, or is still being written, or its checksum is wrong",
        "bad_preset": "a preset file has a mistake",
        "too_long": "the region is longer than the model or the server takes",
        "too_short": "the region is too short, or fewer bars are remembered than were asked for",
        "too_large": "more bytes than the server takes",
        "busy": "not while a job runs",
        "queue_full": "too many jobs are waiting",
        "not_ready": "the server is starting or draining",
        "missing_weights": "the model's files are not here; the message has the command that fetches them",
        "model_damaged": "a file of the model is not the one that was installed; the message has the cure",
        "out_of_memory": "the device has too little memory for this job",
        "disk_full": "no room to write stems, uploads or the journal",
        "write_failed": "the stem could not be written; the message has the reason",
        "no_handles": "the server has as many files and connections open as the system allows",
        "no_portaudio": "the PortAudio library is missing, so there is no live audio",
        "no_device": "no such sound device, or it cannot be opened like this, or it is gone",
        "not_live": "live audio is off; send /live/start",
        "no_transport": "the clock is not known; send /live/transport",
        "not_heard": "what was played does not arrive at the input",
        "cancelled": "stopped on request",
        "timed_out": "the deadline passed, or the other side went silent",
        "auth": "a password is needed, or was wrong, or this works on the server's own machine only",
        "stale_chunk": "a chunk for a transfer that has ended",
        "engine_died": "the worker process died and is being restarted; send the job again",
        "interrupted": "the server was stopped during the job and could not go on with it; send it again",
        "internal": "our mistake; the log has more",
    }
)
