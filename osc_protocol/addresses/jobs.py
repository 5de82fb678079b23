"""Jobs and takes: edit a region, follow it, repeat it, go back to an earlier take."""

from __future__ import annotations

from osc_protocol.addresses.arguments import (
    AUDIO,
    CHANNELS,
    COUNT,
    ETA,
    FRACTION,
    FRAMES,
    ID,
    LENGTH,
    QUEUE_POSITION,
    RATE,
    START,
)
from osc_protocol.addresses.constants import (
    JOB_STATES,
    MESSAGE_BYTES,
    PATH_BYTES,
    STAGES,
    TEXT_BYTES,
)
from osc_protocol.addresses.keys import EDIT_KEYS, REGION_KEYS
from osc_protocol.rows import Address, Arg, Reply

# fmt: off
JOB_REPLY_NAMES = ("ack", "progress", "result", "done", "fail")
JOB_DONE = (
    Arg("serial", "i", low=0, help="a repeat carries the same one; answer it with /got"),
    Arg("results", "i", low=0, help="how many /result came before"),
    Arg("seed", "i", help="the seed that was used"),
    Arg("manifest", "s", high=PATH_BYTES, help="a JSON file: everything that made these stems"),
    Arg("seconds", "f", "seconds", low=0, help="from /ack to here"),
)

REQUESTS: tuple[Address, ...] = (
    Address("edit",
        "Turn a region into stems. The text is one string; a patch that sends words uses /say.",
        args=(ID, AUDIO, Arg("text", "s", high=TEXT_BYTES, help="what to do, in words")),
        keys=EDIT_KEYS, replies=JOB_REPLY_NAMES, done=JOB_DONE, critical=True),
    Address("region", "Choose this client's current region, and keys for the jobs on it.",
        args=(ID, AUDIO, START, LENGTH),
        keys=REGION_KEYS, replies=("region.reply", "fail")),
    Address("say",
        "Edit the current region. Made for message boxes: the words need not be one string.",
        args=(
            ID,
            Arg("text", "s", high=TEXT_BYTES, rest=256,
                help="what to do; words are joined by spaces"),
        ),
        replies=JOB_REPLY_NAMES, done=JOB_DONE, critical=True),
    Address("again",
        "Run an earlier job again, with changes. With none, the same audio comes back.",
        args=(ID, Arg("old_id", "id", help="the job to repeat")),
        keys=EDIT_KEYS, replies=JOB_REPLY_NAMES, done=JOB_DONE, critical=True),
    Address("cancel",
        "Stop a job or a load. The job itself ends with /fail … cancelled; outputs stay untouched.",
        args=(ID,),
        replies=("done", "fail"),
        done=(Arg("was_running", "i", low=0, high=1, help="0: it had ended before"),),
        critical=True),
    Address("cancel/all", "Stop all jobs of this client.",
        replies=("done",), done=(Arg("cancelled", "i", low=0, help="how many jobs"),),
        critical=True),
    Address("job/query",
        "Ask how far a job is. After its end, its results and its /done or /fail come again.",
        args=(ID,),
        replies=("job/info", "result", "done", "fail")),
    Address("got", "The /done or /fail of this job has arrived: stop repeating it.",
        args=(ID, Arg("serial", "i", low=0, default=0, help="0: whichever came last"))),
    Address("set", "Set keys for all later jobs of this client. Silent when all is well.",
        keys=EDIT_KEYS, replies=("fail",)),
    Address("get", "Ask for one of the keys that /set has set.",
        args=(Arg("key", "s", choices=tuple(EDIT_KEYS)),),
        replies=("get.reply", "fail")),
)

REPLIES: tuple[Reply, ...] = (
    Reply("ack", "Within milliseconds. The same id sent again never starts a second job.",
        (
            ID,
            Arg("job", "s", help="the server's name for it; also the id, if you sent none"),
            QUEUE_POSITION,
            ETA,
        )),
    Reply("progress",
        "At most 5 a second, at least every 2 s. Silence for 10 s: the server is gone.",
        (ID, FRACTION, Arg("stage", "s", help=" ".join(STAGES)), ETA, QUEUE_POSITION)),
    Reply("result", "One stem; all of them come before /done.",
        (
            ID,
            Arg("index", "i", low=0),
            Arg("stem", "s"),
            Arg("path", "s", high=PATH_BYTES, help="a complete file, never written to again"),
            RATE,
            CHANNELS,
            FRAMES,
            Arg("start", "f", "seconds", low=0, help="where it belongs in the source file"),
            Arg("beats_start", "f", "beats", help="as you sent it with the job"),
        )),
    Reply("done",
        "A command has ended well; its own row tells what follows the id. A job has exactly one "
        "/done or /fail, which over UDP is repeated until /got.",
        (Arg("command", "s", help="the address that is done"), ID)),
    Reply("fail", "A command has ended badly, or was not understood (id 0 if none could be read).",
        (
            Arg("command", "s", clip=True, help="the address that failed"),
            ID,
            Arg("code", "s", help="one of the codes below"),
            Arg("message", "s", high=MESSAGE_BYTES, clip=True,
                help="what was expected, what came, what to do"),
            Arg("serial", "i", low=0, default=0, help="of a job's end, as in /done; otherwise 0"),
        )),
    Reply("job/info", "A job that has not ended.",
        (ID, Arg("state", "s", choices=JOB_STATES), FRACTION, QUEUE_POSITION)),
    Reply("region.reply", "The region, as the server reads the file.",
        (
            ID,
            RATE,
            CHANNELS,
            FRAMES,
            Arg("seconds", "f", "seconds", low=0),
            Arg("region", "s", help="its name in /take/list"),
        )),
    Reply("get.reply", "The value; an empty string where the key was never set.",
        (Arg("key", "s"), Arg("value", "any", high=TEXT_BYTES, clip=True))),
)

TAKE_REQUESTS: tuple[Address, ...] = (
    Address("take/list", "The takes of a region, newest first.",
        args=(
            Arg("region", "s", default="", help="from /region.reply; empty: the current region"),
        ),
        replies=("take/item", "take/list.end", "fail")),
    Address("take/use",
        "Go back to a take: its results come again. By your own id, or by the server's job name.",
        args=(ID,),
        replies=("result", "done", "fail"), done=JOB_DONE),
)

TAKE_REPLIES: tuple[Reply, ...] = (
    Reply("take/item", "",
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
        )),
    Reply("take/list.end", "", (COUNT,)),
)
# fmt: on
