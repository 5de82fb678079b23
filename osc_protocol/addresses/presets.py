"""Presets and models: which there are, blending, loading."""

from __future__ import annotations

from osc_protocol.addresses.arguments import COUNT, LOAD_ID
from osc_protocol.addresses.constants import MIXTURE_BYTES
from osc_protocol.rows import Address, Arg, Reply

# fmt: off
REQUESTS: tuple[Address, ...] = (
    Address("preset/list", "List all styles.", replies=("preset/item", "preset/list.end")),
    Address("preset/get", "One style's settings.",
        args=(Arg("name", "s", help="from /preset/item"),),
        replies=("preset/param", "preset/get.end", "fail")),
    Address("preset/blend",
        "Mix styles for all later jobs of this client; only the ratios of the weights count.",
        args=(
            Arg("mixture", "s", high=MIXTURE_BYTES, rest=32,
                help="names and weights in turn: harp 0.7 pan_flute 0.3"),
        ),
        replies=("done", "fail"), done=(Arg("styles", "i", low=1, help="how many are mixed"),)),
    Address("preset/reload",
        "Read the files again. Mistakes are reported with file, line and field; the old set stays.",
        replies=("done", "fail"), done=(Arg("presets", "i", low=0, help="how many there are"),)),
    Address("model/list", "List all models.", replies=("model/item", "model/list.end")),
    Address("model/load", "Load and warm up a model before it is needed.",
        args=(Arg("name", "s", help="from /model/item"), LOAD_ID),
        replies=("progress", "done", "fail"), done=(Arg("seconds", "f", "seconds", low=0),),
        critical=True),
    Address("model/unload", "Free the memory of a model.",
        args=(Arg("name", "s", help="from /model/item"), LOAD_ID),
        replies=("done", "fail"), done=()),
)

REPLIES: tuple[Reply, ...] = (
    Reply("preset/item", "",
        (
            Arg("name", "s"),
            Arg("title", "s", high=128, clip=True),
            Arg("model", "s"),
            Arg("task", "s"),
            Arg("needs_audio", "i", low=0, high=1),
            Arg("max_seconds", "f", "seconds", low=0, help="0: no limit"),
            Arg("description", "s", high=512, clip=True),
        )),
    Reply("preset/list.end", "", (COUNT,)),
    Reply("preset/param", "One setting.",
        (
            Arg("name", "s"),
            Arg("key", "s"),
            Arg("type", "s"),
            Arg("low", "f"),
            Arg("high", "f", help="low and high are both 0 where there is no range"),
            Arg("value", "s", high=512, clip=True),
            Arg("help", "s", high=256, clip=True),
        )),
    Reply("preset/get.end", "", (Arg("name", "s"), COUNT)),
    Reply("preset/changed", "Pushed to /notify clients: ask for the list again.", (COUNT,)),
    Reply("model/item", "",
        (
            Arg("name", "s"),
            Arg("title", "s", high=128, clip=True),
            Arg("loaded", "i", low=0, high=1),
            Arg("licence", "s", high=128, clip=True),
            Arg("max_seconds", "f", "seconds", low=0, help="0: no limit"),
        )),
    Reply("model/list.end", "", (COUNT,)),
)
# fmt: on
