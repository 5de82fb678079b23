"""The server itself: its state, its version, who is told what."""

from __future__ import annotations

from osc_protocol.addresses.arguments import STATE
from osc_protocol.addresses.constants import MESSAGE_BYTES, PATH_BYTES
from osc_protocol.rows import Address, Arg, Reply

# fmt: off
REQUESTS: tuple[Address, ...] = (
    Address("status", "The state of the server.", replies=("status.reply",)),
    Address("version", "The server's name and version.", replies=("version.reply",)),
    Address("folder",
        "The folder where a client on the server's machine may write a region for /edit.",
        replies=("folder.reply",)),
    Address("ping", "Answered at once with what it carries.",
        args=(Arg("echo", "any", rest=16, help="anything short"),),
        replies=("pong",)),
    Address("sync", "Answered when all commands before it are acknowledged or have ended.",
        args=(Arg("n", "i"),),
        replies=("synced",)),
    Address("notify",
        "Register for news, under a name. Replies go to where this came from, or to a port of "
        "yours: Max listens on another one than it sends from.",
        args=(
            Arg("on", "i", low=0, high=2,
                help="0: off; 1: my jobs and news; 2: other clients' jobs too"),
            Arg("port", "i", low=0, high=65535, default=0,
                help="where you listen; 0: where this came from"),
            Arg("name", "s", default="", help="who you are; keeps your state when your port moves"),
        ),
        replies=("done", "fail"),
        done=(Arg("client", "i", low=0), Arg("port", "i", low=0, high=65535))),
    Address("dump", "Trace messages, in the log and as /log.",
        args=(Arg("level", "i", low=0, high=2, help="0: off; 1: messages; 2: bytes too"),),
        replies=("done", "log"), done=()),
    Address("auth",
        "Needed where the server listens beyond its own machine. Four tries, each slower.",
        args=(Arg("password", "s", high=256),),
        replies=("done", "fail"), done=()),
    Address("quit", "Finish the running job, then stop.",
        replies=("done", "fail"), done=(), loopback_only=True),
)

REPLIES: tuple[Reply, ...] = (
    Reply("ready", "Pushed to /notify clients: jobs start at once from now on.",
        (Arg("model", "s"), Arg("seconds", "f", "seconds", low=0, help="how long it took"))),
    Reply("state", "Pushed to /notify clients when it changes.", (STATE,)),
    Reply("status.reply", "Memory is the device's: the graphics card's where there is one.",
        (
            STATE,
            Arg("queued", "i", low=0),
            Arg("running", "i", low=0),
            Arg("memory_used", "f", "GB", low=0),
            Arg("memory_total", "f", "GB", low=0),
            Arg("model", "s"),
            Arg("device", "s"),
            Arg("uptime", "f", "seconds", low=0),
        )),
    Reply("version.reply", "`protocol` grows when an old client would break.",
        (
            Arg("name", "s"),
            Arg("major", "i", low=0),
            Arg("minor", "i", low=0),
            Arg("patch", "s"),
            Arg("protocol", "i", low=1),
            Arg("commit", "s"),
        )),
    Reply("folder.reply", "Files in it are deleted after a day, as uploads are.",
        (Arg("path", "s", high=PATH_BYTES, help="with / on all systems, and none at its end"),)),
    Reply("pong", "What /ping carried.", (Arg("echo", "any", rest=16),)),
    Reply("synced", "", (Arg("n", "i"),)),
    Reply("log", "For people: warnings about your last message, and what /dump shows.",
        (
            Arg("level", "i", low=0, high=3, help="0 debug, 1 info, 2 warning, 3 error"),
            Arg("text", "s", high=MESSAGE_BYTES, clip=True),
        )),
)
# fmt: on
