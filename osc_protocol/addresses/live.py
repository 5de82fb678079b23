"""Live audio: a ring of remembered sound, the DAW's clock, and stems that are played in time."""

from __future__ import annotations

from osc_protocol.addresses.arguments import CHANNELS, COUNT, ID, RATE
from osc_protocol.addresses.constants import DEVICE_BYTES, LIVE_STATES, MESSAGE_BYTES, TEXT_BYTES
from osc_protocol.addresses.jobs import JOB_DONE, JOB_REPLY_NAMES
from osc_protocol.addresses.keys import EDIT_KEYS
from osc_protocol.rows import Address, Arg, Reply, by_name

# fmt: off
LATENCIES = (
    Arg("input_latency", "i", "frames", low=0, help="as the driver reports it"),
    Arg("output_latency", "i", "frames", low=0, help="as the driver reports it"),
)
XRUNS = Arg("xruns", "i", low=0,
    help="how often sound was lost since /live/start; bars around a loss may be shifted")
LIVE_STATE = Arg("state", "s", choices=LIVE_STATES)

PLAY_TIMES_AT_MOST = 64
# /capture knows these from the clock
MEASURED_LATER = ("start", "length", "tempo", "beats_start")
CAPTURE_KEYS = by_name((
    *(arg for arg in EDIT_KEYS.values() if arg.name not in MEASURED_LATER),
    Arg("play", "i", low=0, high=PLAY_TIMES_AT_MOST, default=1,
        help="how often the first stem is played, in time, from the next bar line after it is "
             "done; 0: not"),
))
LIVE_KEYS = by_name((
    Arg("rate", "i", "Hz", low=0, high=384_000, default=0, help="0: the input device's own"),
    Arg("channels", "i", low=1, high=64, default=2, help="at most so many, in and out"),
    Arg("first", "i", low=1, high=64, default=1,
        help="the first input channel; 3 where an interface loops back to 3 and 4"),
    Arg("blocksize", "i", "frames", low=0, high=16384, default=0,
        help="frames in one call of the driver; 0: the driver chooses"),
    Arg("seconds", "f", "seconds", low=1, high=1200, default=64.0,
        help="how much sound is remembered; 64: 32 bars of 4/4 at 120 bpm"),
))
TRANSPORT_KEYS = by_name((
    Arg("meter_num", "i", low=1, high=64, default=4, help="the 6 of 6/8"),
    Arg("meter_den", "i", low=1, high=64, default=4, help="the 8 of 6/8"),
    Arg("bar_line", "f", "beats", default=0.0,
        help="where any bar line lies; for music whose meter changes"),
    Arg("playing", "i", low=0, high=1, default=1,
        help="0: the DAW stands still, so bars end where it stopped"),
    Arg("offset", "f", "seconds", low=-10, high=10, default=0.0,
        help="how much later the sound arrives here than the DAW's position says"),
))

REQUESTS: tuple[Address, ...] = (
    Address("live/start",
        "Listen to an input and remember its last seconds. Sent again it changes nothing.",
        args=(
            Arg("input", "s", high=DEVICE_BYTES, default="",
                help="a part of a name, or a number, from /live/device; empty: the system's "
                     "default"),
            Arg("output", "s", high=DEVICE_BYTES, default="", help="the same; none: never play"),
        ),
        keys=LIVE_KEYS, replies=("done", "fail", "live/state"), done=(RATE, CHANNELS, *LATENCIES)),
    Address("live/stop", "Stop listening, and forget the sound.",
        replies=("done", "live/state"), done=()),
    Address("live/devices", "List the inputs and outputs that are there now.",
        replies=("live/device", "live/devices.end", "fail")),
    Address("live/status", "The state of live audio.", replies=("live/status.reply", "fail")),
    Address("live/transport",
        "Tell where the DAW is: when it starts, stops, jumps or changes tempo, and as often as you "
        "like between. Messages may be late but never early, so the earliest ones set the clock. "
        "Silent when all is well, also while live audio is off.",
        args=(
            Arg("tempo", "f", "bpm", low=10, high=400, help="quarter notes a minute"),
            Arg("beat", "f", "beats", default=0.0,
                help="position now, in quarter notes; bar lines lie at whole bars from 0 (or see "
                     "bar_line)"),
        ),
        keys=TRANSPORT_KEYS, replies=("fail",)),
    Address("live/measure",
        "Play a short sweep on the output, find it in the input, and compensate for the measured "
        "delay from now on. The input must pick up the output.",
        replies=("done", "fail"),
        done=(
            Arg("round_trip", "i", "frames", low=0, help="measured, output to input"),
            Arg("reported", "i", "frames", low=0, help="what the driver says of the same path"),
        )),
    Address("live/play", "Play a stem of a take in time, from the next bar line on.",
        args=(
            ID,
            Arg("index", "i", low=0, default=0, help="of its /result"),
            Arg("times", "i", low=1, high=PLAY_TIMES_AT_MOST, default=1, help="back to back"),
        ),
        replies=("live/playing", "fail")),
    Address("live/silence", "Stop what is played.", replies=("done",), done=()),
    Address("capture",
        "Edit the last whole bars, up to the last bar line that has passed: a job like /edit, "
        "whose stem is played in time when it is done. They become the current region, for /say "
        "and /take/list.",
        args=(
            ID,
            Arg("bars", "i", low=1, high=1024, help="how many"),
            Arg("text", "s", high=TEXT_BYTES, help="what to do, in words"),
        ),
        keys=CAPTURE_KEYS, replies=(*JOB_REPLY_NAMES, "region.reply", "live/playing"),
        done=JOB_DONE,
        critical=True),
)

REPLIES: tuple[Reply, ...] = (
    Reply("live/state", "Pushed to /notify clients when it changes, and when sound was lost.",
        (
            LIVE_STATE,
            Arg("reason", "s", high=MESSAGE_BYTES, clip=True, help="why it was lost"),
            XRUNS,
        )),
    Reply("live/device", "",
        (
            Arg("index", "i", low=0),
            Arg("name", "s", high=DEVICE_BYTES, clip=True),
            Arg("system", "s", clip=True,
                help="the sound system it belongs to: Core Audio, JACK, ALSA, …"),
            Arg("inputs", "i", low=0),
            Arg("outputs", "i", low=0),
            RATE,
            Arg("is_input", "i", low=0, high=1, help="1: the default input"),
            Arg("is_output", "i", low=0, high=1, help="1: the default output"),
        )),
    Reply("live/devices.end", "", (COUNT,)),
    Reply("live/status.reply", "Where live audio is off, all numbers are 0.",
        (
            LIVE_STATE,
            Arg("input", "s", high=DEVICE_BYTES, clip=True),
            Arg("output", "s", high=DEVICE_BYTES, clip=True),
            Arg("rate", "i", "Hz", low=0),
            Arg("channels", "i", low=0),
            *LATENCIES,
            Arg("round_trip", "i", "frames", low=-1,
                help="measured, see /live/measure; -1: not yet"),
            XRUNS,
            Arg("seconds", "f", "seconds", low=0, help="the most that the ring can hold"),
            Arg("filled", "f", "seconds", low=0, help="what the ring holds now"),
            Arg("peak", "f", "dBFS", low=-200,
                help="loudest input sample of the last half second; -200: silence"),
            Arg("tempo", "f", "bpm", low=0, help="0: no /live/transport yet"),
            Arg("meter_num", "i", low=0),
            Arg("meter_den", "i", low=0),
            Arg("beat", "f", "beats", help="now"),
            Arg("bars", "i", low=0, help="whole bars that /capture could take now"),
        )),
    Reply("live/playing", "A stem starts soon, at a bar line.",
        (
            ID,
            Arg("beat", "f", "beats", help="the bar line"),
            Arg("seconds", "f", "seconds", low=0, help="from now"),
            Arg("times", "i", low=1),
        )),
)
# fmt: on
