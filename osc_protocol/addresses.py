"""The table: every address that may travel, with its arguments, units, ranges and answers.

Rule 1: this file is the protocol. Decoding, encoding, checking and docs/osc.md read it; none repeats it.
Rule 2: whatever a row allows, a datagram of 1400 bytes carries (audio data and a client's own text apart).
Rule 3: the first argument about a job is the client's id, and comes back as it came.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Iterable, Mapping, Tuple, Union

ROOT = "/retimbre"
DEFAULT_PORT = 11020        # UDP and TCP
REPLY_PORT = 11021          # for clients that listen on a fixed port (Pd, Max)
HTTP_PORT = 11022
PROTOCOL_VERSION = 1        # grows when an old client would break

NAME_BYTES = 64             # ids, names, codes: the limit of every string that states no other
PATH_BYTES = 1024           # macOS' own PATH_MAX
TEXT_BYTES = 2000           # what a musician may say at once
MESSAGE_BYTES = 900         # free text from us; longer is clipped, see Arg.clip
MISSING_AT_MOST = 32        # indexes in one /audio/missing

STATES = ("starting", "loading", "warming", "ready", "busy", "draining", "error")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
STAGES = ("queued", "downloading", "loading", "compiling", "encoding", "generating", "decoding", "fitting", "writing")
AUDIO_FORMATS = ("wav", "flac", "aiff", "f32le", "s24le", "s16le")    # whole files, then raw interleaved samples


class _Required:
    """The default of an argument that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True)
class Arg:
    """One argument: `type` is i, f, s, b, id (int or string, echoed as it came) or any (kept as it came)."""

    name: str
    type: str
    unit: str = ""
    low: Union[float, None] = None
    high: Union[float, None] = None     # of a string or blob: most bytes (UTF-8), see limit_bytes
    choices: Tuple[str, ...] = ()
    default: Any = REQUIRED
    help: str = ""
    rest: bool = False                  # takes all that is left: text is joined by spaces, other types make a tuple
    clip: bool = False                  # a longer string is shortened on its way out; without it, that is an error

    @property
    def limit_bytes(self) -> int:
        """Most bytes of a string or blob here."""
        return NAME_BYTES if self.high is None else int(self.high)


@dataclass(frozen=True)
class Address:
    """What a client may send. `done` are the arguments of its /done after command and id; None: it has no /done."""

    name: str
    args: Tuple[Arg, ...] = ()
    keys: Mapping[str, Arg] = field(default_factory=dict)
    replies: Tuple[str, ...] = ()
    done: Union[Tuple[Arg, ...], None] = None
    help: str = ""
    critical: bool = False              # a lost one matters: OSCQuery advises TCP, we answer every one
    loopback_only: bool = False

    @property
    def path(self) -> str:
        """The full address, `/retimbre/edit`."""
        return f"{ROOT}/{self.name}"


@dataclass(frozen=True)
class Reply:
    """What the server may send."""

    name: str
    args: Tuple[Arg, ...] = ()
    help: str = ""

    @property
    def path(self) -> str:
        """The full address, `/retimbre/ack`."""
        return f"{ROOT}/{self.name}"


def _by_name(args: Iterable[Arg]) -> Mapping[str, Arg]:
    return MappingProxyType({arg.name: arg for arg in args})


def _by_path(rows: Iterable[Any]) -> Mapping[str, Any]:
    return MappingProxyType({row.path: row for row in rows})


ID = Arg("id", "id", help="yours to choose; 0 or an empty string: the server chooses, see /ack")
ID_OR_NONE = Arg("id", "id", default=0, help="names this load in /progress and /cancel")
AUDIO = Arg("audio", "s", high=PATH_BYTES, help="a file under an allowed root, or the handle of an upload")
TEXT = Arg("text", "s", high=TEXT_BYTES, help="what to do, in words")
MODEL = Arg("name", "s", help="as in /model/item")
PRESET = Arg("name", "s", help="as in /preset/item")

EDIT_KEYS = _by_name((
    Arg("preset", "s", default="", help="a style from /preset/list"),
    Arg("model", "s", default="", help="a model from /model/list"),
    Arg("seed", "i", low=-1, high=2**31 - 1, default=-1, help="-1: drawn below 2^24, which Pd's floats still hold"),
    Arg("strength", "f", low=0, high=2, default=None, help="how much of the source is kept (adapter scale)"),
    Arg("pooling", "i", low=1, high=8, default=None, help="how coarsely the source is heard: 1 fine, 8 coarse"),
    Arg("guidance", "f", low=0, high=10, default=None, help="how strictly the text is obeyed; 1: no guidance"),
    Arg("negative", "s", high=TEXT_BYTES, default=None, help="what to move away from, in words"),
    Arg("steps", "i", low=1, high=100, default=None, help="sampling steps: more is slower and finer"),
    Arg("start", "f", "seconds", low=0, default=0.0, help="where the region begins in the file"),
    Arg("length", "f", "seconds", low=0, default=0.0, help="0: to the end of the file"),
    Arg("fit", "s", choices=("same",), default="same", help="same: the stem has the region's rate, channels, frames"),
    Arg("format", "s", choices=("wav", "flac", "aiff"), default="wav", help="of the stem's file"),
    Arg("bits", "s", choices=("same", "f32", "s24", "s16"), default="same", help="of the stem's samples"),
    Arg("level", "s", choices=("match", "none"), default="match", help="match: as loud as the region"),
    Arg("out", "s", high=PATH_BYTES, default="", help="a folder under an allowed root that also gets the stems"),
    Arg("tempo", "f", "bpm", low=20, high=400, default=None, help="of the region, if you know it"),
    Arg("beats_start", "f", "beats", default=0.0, help="where the region sits on your timeline; comes back in /result"),
    Arg("takes", "i", low=1, high=8, default=1, help="how many versions, each with its own seed"),
    Arg("stems", "s", high=256, default="", help="which stems, comma separated; empty: all the model makes"),
    Arg("priority", "i", low=-10, high=10, default=0, help="higher is served first"),
    Arg("deadline", "f", "seconds", low=0, default=0.0, help="fail with timed_out when not done by then; 0: never"),
))
REGION_KEYS = _by_name(arg for arg in EDIT_KEYS.values() if arg.name not in ("start", "length"))

JOB_REPLIES = ("ack", "progress", "result", "done", "fail")
JOB_DONE = (
    Arg("serial", "i", low=0, help="a repeat carries the same one; answer it with /got"),
    Arg("results", "i", low=0, help="how many /result came before"),
    Arg("seed", "i", help="the one that was used"),
    Arg("manifest", "s", high=PATH_BYTES, help="JSON file: all that made these stems"),
    Arg("seconds", "f", "seconds", low=0, help="from /ack to here"),
)

# An audio transfer runs either way: the side that has the audio opens, sends and closes; the other answers.
AUDIO_OPEN = (
    ID,
    Arg("rate", "i", "Hz", low=0, high=768_000, default=0, help="0: the file's header says it"),
    Arg("channels", "i", low=0, high=64, default=0, help="0: the file's header says it"),
    Arg("frames", "i", low=0, default=0, help="0: the file's header says it"),
    Arg("format", "s", choices=AUDIO_FORMATS, default="wav", help="wav, flac, aiff: a whole file; others: raw samples"),
)
AUDIO_DATA = (
    ID,
    Arg("index", "i", low=0, help="0, 1, 2 … in any order"),
    Arg("bytes", "b", high=1 << 20, help="at most chunk_bytes"),
)
AUDIO_CLOSE = (
    ID,
    Arg("chunks", "i", low=0, help="how many were sent"),
    Arg("crc32", "s", help="of all bytes, eight hexadecimal digits (zlib's)"),
)
AUDIO_READY = (
    ID,
    Arg("chunk_bytes", "i", "bytes", low=1, high=1 << 20, help="most in one /audio/data"),
    Arg("window", "i", low=1, high=1024, help="most chunks on their way without an /audio/ack"),
    Arg("handle", "s", help="stands for the audio in /edit and /region once the transfer is done"),
)
AUDIO_ACK = (
    ID,
    Arg("index", "i", low=0, help="the chunk that arrived"),
    Arg("received", "i", low=0, help="how many different chunks have arrived"),
)
AUDIO_MISSING = (
    ID,
    Arg("indexes", "i", low=0, rest=True, help=f"send these again, then close again; {MISSING_AT_MOST} at most. "
        "None at all, in a download: everything arrived"),
)

ADDRESSES: Mapping[str, Address] = _by_path((
    # Jobs
    Address("edit", (ID, AUDIO, TEXT), EDIT_KEYS, JOB_REPLIES, JOB_DONE, critical=True,
            help="Turn a region into stems. The text is one string; a patch that sends words uses /say."),
    Address("region", (
                ID, AUDIO,
                Arg("start", "f", "seconds", low=0, default=0.0),
                Arg("length", "f", "seconds", low=0, default=0.0, help="0: to the end of the file")),
            REGION_KEYS, ("region.reply", "fail"),
            help="Choose this client's current region, and keys for its next jobs."),
    Address("say", (ID, Arg("text", "s", high=TEXT_BYTES, rest=True, help="words, joined by spaces")),
            replies=JOB_REPLIES, done=JOB_DONE, critical=True,
            help="Edit the current region. Made for message boxes."),
    Address("again", (ID, Arg("old_id", "id", help="the job to repeat")), EDIT_KEYS, JOB_REPLIES, JOB_DONE,
            critical=True, help="Run an earlier job again, with changes. Nothing changed: the same audio."),
    Address("cancel", (ID,), replies=("done", "fail"), critical=True,
            done=(Arg("was_running", "i", low=0, high=1, help="0: it had ended before, or never was"),),
            help="Stop a job or a load. The job itself ends with /fail … cancelled; its outputs stay untouched."),
    Address("cancel/all", replies=("done",), done=(Arg("cancelled", "i", low=0, help="how many jobs"),), critical=True,
            help="Stop all jobs of this client."),
    Address("job/query", (ID,), replies=("job/info", "result", "done", "fail"),
            help="Where is it? After its end the results and the /done or /fail come again."),
    Address("got", (ID, Arg("serial", "i", low=0, default=0, help="0: whichever came last")),
            help="I have the /done or /fail of this job: stop repeating it."),
    Address("set", keys=EDIT_KEYS, replies=("fail",),
            help="Set keys for all later jobs of this client. Silent when all is well."),
    Address("get", (Arg("key", "s", choices=tuple(EDIT_KEYS)),), replies=("get.reply", "fail"),
            help="Ask for one of them."),

    # Takes
    Address("take/list", (Arg("region", "s", default="", help="as in /region.reply; empty: the current region"),),
            replies=("take/item", "take/list.end", "fail"), help="What was made of a region, newest first."),
    Address("take/use", (ID,), replies=("result", "done", "fail"), done=JOB_DONE,
            help="Go back to a take: its results come again. The id is the client's own or the server's job."),

    # Audio
    Address("audio/open", AUDIO_OPEN, replies=("audio/ready", "fail"), critical=True, help="Begin an upload."),
    Address("audio/data", AUDIO_DATA, replies=("audio/ack", "fail"), critical=True, help="One chunk."),
    Address("audio/close", AUDIO_CLOSE, replies=("audio/missing", "done", "fail"), critical=True,
            done=(Arg("handle", "s", help="use it where a path is wanted"),), help="All was sent."),
    Address("audio/get", (ID, Arg("audio", "s", high=PATH_BYTES, help="a path from /result, or a handle")),
            replies=("audio/open", "audio/data", "audio/close", "fail"), critical=True,
            help="Begin a download: the server sends the same three, the client answers with the next three."),
    Address("audio/ready", AUDIO_READY, help="Download: send."),
    Address("audio/ack", AUDIO_ACK, help="Download: this chunk arrived."),
    Address("audio/missing", AUDIO_MISSING, help="Download: these did not. None: all is here."),

    # Presets and models
    Address("preset/list", replies=("preset/item", "preset/list.end"), help="All styles."),
    Address("preset/get", (PRESET,), replies=("preset/param", "preset/get.end", "fail"), help="One style's settings."),
    Address("preset/reload", replies=("done", "fail"), done=(Arg("presets", "i", low=0, help="how many there are"),),
            help="Read the preset files again. A mistake in one names file, line and field; the old set stays."),
    Address("model/list", replies=("model/item", "model/list.end"), help="All models."),
    Address("model/load", (MODEL, ID_OR_NONE), replies=("progress", "done", "fail"), critical=True, done=(
                Arg("seconds", "f", "seconds", low=0),), help="Load and warm up a model before it is needed."),
    Address("model/unload", (MODEL, ID_OR_NONE), replies=("done", "fail"), done=(), help="Give its memory back."),

    # Server
    Address("status", replies=("status.reply",), help="How is the server?"),
    Address("version", replies=("version.reply",), help="Which server is it?"),
    Address("ping", (Arg("echo", "any", rest=True, help="anything short"),), replies=("pong",), help="Is it there?"),
    Address("sync", (Arg("n", "i"),), replies=("synced",),
            help="Answered when all commands before it were acknowledged or have ended."),
    Address("notify", (
                Arg("on", "i", low=0, high=2, help="0: off; 1: my jobs and the server's news; 2: others' jobs too"),
                Arg("port", "i", low=0, high=65535, default=0, help="where you listen; 0: where this came from"),
                Arg("name", "s", default="", help="who you are; keeps your state when your port moves")),
            replies=("done", "fail"), done=(Arg("client", "i", low=0), Arg("port", "i", low=0, high=65535)),
            help="Register a return address. Pd and Max need this: they listen on another port than they send from."),
    Address("dump", (Arg("level", "i", low=0, high=2, help="0: off; 1: messages; 2: with bytes"),),
            replies=("done", "log"), done=(), help="Trace messages to the log and as /log."),
    Address("auth", (Arg("password", "s", high=256),), replies=("done", "fail"), done=(),
            help="Needed when the server listens beyond this machine. Four tries, each slower."),
    Address("quit", replies=("done",), done=(), help="Finish the running job, then stop.", loopback_only=True),
))

REPLIES: Mapping[str, Reply] = _by_path((
    # Jobs
    Reply("ack", (ID,
                  Arg("job", "s", help="the server's name of it; the id too, if you sent none"),
                  Arg("queue_position", "i", low=0, help="0: it runs"),
                  Arg("eta", "f", "seconds", low=-1, help="-1: unknown")),
          help="Within milliseconds. The same id again never starts a second job."),
    Reply("progress", (ID,
                       Arg("fraction", "f", low=-1, high=1, help="never falls; -1: unknown"),
                       Arg("stage", "s", help=" ".join(STAGES)),
                       Arg("eta", "f", "seconds", low=-1, help="-1: unknown"),
                       Arg("queue_position", "i", low=0)),
          help="At most 5 a second, at least every 2 s. Silence for 10 s means the server is gone."),
    Reply("result", (ID,
                     Arg("index", "i", low=0),
                     Arg("stem", "s"),
                     Arg("path", "s", high=PATH_BYTES, help="complete, and never written again"),
                     Arg("rate", "i", "Hz", low=1),
                     Arg("channels", "i", low=1),
                     Arg("frames", "i", low=0),
                     Arg("start", "f", "seconds", low=0, help="in the source file: put it there"),
                     Arg("beats_start", "f", "beats", help="as you sent it")),
          help="One stem, before /done."),
    Reply("done", (Arg("command", "s", help="the address that is done"), ID),
          help="The end of a command; what follows the id stands with the command. Of a job: exactly one /done or "
               "/fail, repeated over UDP until /got."),
    Reply("fail", (Arg("command", "s", clip=True, help="the address that failed"), ID,
                   Arg("code", "s", help="see the codes"),
                   Arg("message", "s", high=MESSAGE_BYTES, clip=True, help="expected, came, what to do"),
                   Arg("serial", "i", low=0, default=0, help="of a job: as in /done; otherwise 0")),
          help="The other end of a command, and the answer to whatever was not understood (id 0 if none was legible)."),
    Reply("job/info", (ID, Arg("state", "s", choices=JOB_STATES), Arg("fraction", "f", low=-1, high=1),
                       Arg("queue_position", "i", low=0))),
    Reply("region.reply", (ID, Arg("rate", "i", "Hz", low=1), Arg("channels", "i", low=1), Arg("frames", "i", low=0),
                           Arg("seconds", "f", "seconds", low=0), Arg("region", "s", help="its name in /take/list")),
          help="The region as the server reads it."),
    Reply("get.reply", (Arg("key", "s"), Arg("value", "any", high=PATH_BYTES, help="of the key's own type")),
          help="A value that was never set is an empty string."),

    # Takes
    Reply("take/item", (ID, Arg("job", "s"), Arg("region", "s"),
                        Arg("text", "s", high=512, clip=True), Arg("preset", "s"), Arg("seed", "i"),
                        Arg("results", "i", low=0), Arg("created", "s", help="ISO 8601, UTC"),
                        Arg("in_use", "i", low=0, high=1))),
    Reply("take/list.end", (Arg("count", "i", low=0),)),

    # Audio
    Reply("audio/ready", AUDIO_READY, help="Upload: send."),
    Reply("audio/ack", AUDIO_ACK, help="Upload: this chunk arrived. Every chunk is acknowledged, repeats too."),
    Reply("audio/missing", AUDIO_MISSING, help="Upload: these did not arrive."),
    Reply("audio/open", AUDIO_OPEN, help="Download: here it comes."),
    Reply("audio/data", AUDIO_DATA, help="Download: one chunk."),
    Reply("audio/close", AUDIO_CLOSE, help="Download: all was sent."),

    # Presets and models
    Reply("preset/item", (Arg("name", "s"), Arg("title", "s", high=128, clip=True), Arg("model", "s"),
                          Arg("task", "s"), Arg("needs_audio", "i", low=0, high=1),
                          Arg("max_seconds", "f", "seconds", low=0),
                          Arg("description", "s", high=512, clip=True))),
    Reply("preset/list.end", (Arg("count", "i", low=0),)),
    Reply("preset/param", (Arg("name", "s"), Arg("key", "s"), Arg("type", "s"), Arg("low", "f"), Arg("high", "f"),
                           Arg("value", "s", high=512, clip=True), Arg("help", "s", high=256, clip=True)),
          help="One setting; low and high are 0 where there is no range."),
    Reply("preset/get.end", (Arg("name", "s"), Arg("count", "i", low=0))),
    Reply("preset/changed", (Arg("count", "i", low=0),), help="Pushed to /notify clients: ask for the list again."),
    Reply("model/item", (Arg("name", "s"), Arg("title", "s", high=128, clip=True), Arg("loaded", "i", low=0, high=1),
                         Arg("licence", "s", high=128, clip=True),
                         Arg("max_seconds", "f", "seconds", low=0, help="0: no limit"))),
    Reply("model/list.end", (Arg("count", "i", low=0),)),

    # Server
    Reply("ready", (Arg("model", "s"), Arg("seconds", "f", "seconds", low=0, help="it took to get there")),
          help="Pushed to /notify clients: jobs start at once from here on."),
    Reply("state", (Arg("state", "s", choices=STATES),), help="Pushed to /notify clients when it changes."),
    Reply("status.reply", (Arg("state", "s", choices=STATES), Arg("queued", "i", low=0), Arg("running", "i", low=0),
                           Arg("memory_used", "f", "GB", low=0), Arg("memory_total", "f", "GB", low=0),
                           Arg("model", "s"), Arg("device", "s"), Arg("uptime", "f", "seconds", low=0)),
          help="Memory is the device's: the GPU's where there is one."),
    Reply("version.reply", (Arg("name", "s"), Arg("major", "i", low=0), Arg("minor", "i", low=0), Arg("patch", "s"),
                            Arg("protocol", "i", low=1), Arg("commit", "s"))),
    Reply("pong", (Arg("echo", "any", rest=True),), help="What /ping brought."),
    Reply("synced", (Arg("n", "i"),)),
    Reply("log", (Arg("level", "i", low=0, high=3, help="0 debug, 1 info, 2 warning, 3 error"),
                  Arg("text", "s", high=MESSAGE_BYTES, clip=True)),
          help="For people: warnings about your last message, and what /dump shows."),
))

ERROR_CODES: Mapping[str, str] = MappingProxyType({
    "bad_packet": "the bytes are not an OSC message",
    "bad_args": "an argument is missing, of the wrong type, out of range, or one too many",
    "unknown_address": "no such address; the message names the nearest",
    "unknown_preset": "no such preset",
    "unknown_model": "no such model",
    "unknown_job": "no job of this client has this id, or it is forgotten",
    "unknown_take": "no such take",
    "unknown_upload": "no transfer of this client has this id, or it has expired",
    "no_region": "/say before any /region",
    "no_file": "no such file",
    "path_denied": "the path leads outside the allowed roots",
    "bad_audio": "the file or upload cannot be read as audio, or is still being written",
    "bad_preset": "a preset file has a mistake",
    "too_long": "the region is longer than the model or the server takes",
    "too_short": "the region is too short",
    "too_large": "more bytes than the server takes",
    "busy": "this cannot be done while a job runs",
    "queue_full": "too many jobs are waiting",
    "not_ready": "the server is starting or draining",
    "missing_weights": "the model's files are not here; the message has the command that fetches them",
    "out_of_memory": "the device has too little memory for this job",
    "disk_full": "no room to write the stems",
    "cancelled": "stopped on request",
    "timed_out": "the deadline passed",
    "auth": "a password is needed, or was wrong, or this works from the same machine only",
    "stale_chunk": "a chunk for a transfer that has ended",
    "engine_died": "the worker process died; it is restarted, send the job again",
    "interrupted": "the server was stopped while this ran and could not go on with it",
    "internal": "our mistake; the log has more",
})
