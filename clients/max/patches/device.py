"""What is in Retimbre.amxd? The clip in the Clip View goes out, its stem lands on a new track."""

from __future__ import annotations

import struct

from patches.abstraction import add_core
from patches.knobs import BLEND, KNOBS, SEED, Knob, parameter, switch
from patches.patch import Numbers, Patch, box, comment, message, new

WIDTH, HEIGHT = 560, 169  # pixels; Live fixes the height
LIVE_PORTS = (2, 4)  # as retimbre-live.js declares them
CORE_NEWS = 5  # the outlet of retimbre.js for everything that is not about a job
BUTTONS = ("Go", "Cancel", "Audition", "Stop", "Place")


def device() -> Patch:
    patch = Patch(1200, 560)
    _add_sound(patch)
    _add_scripts(patch)
    _add_status(patch)
    _add_words(patch)
    _add_styles(patch)
    _add_buttons(patch)
    _add_knobs(patch)
    return patch


def device_file(patch: Patch) -> bytes:
    """The .amxd: an unfrozen audio effect whose parameters the Live Set lists beside the boxes."""
    parameters = {  # id -> long name, short name, kind
        box["id"]: [box["varname"], box["varname"], 0]
        for box in patch.boxes.values()
        if "varname" in box
    }
    patcher = patch.json(
        openinpresentation=1,
        devicewidth=float(WIDTH),
        parameters=parameters,
        openrect=[0.0, 0.0, float(WIDTH), float(HEIGHT)],
    )
    # Each chunk is a name, a little-endian length and the data. aaaa: audio effect.
    chunks = ((b"ampf", b"aaaa"), (b"meta", bytes(4)), (b"ptch", patcher.encode() + b"\0"))
    return b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)


def _add_sound(patch: Patch) -> None:
    """The input goes to the output, and the audition is added to it."""
    patch.add(
        new("plugin", "plugin~", (820, 420, 60), (2, 2)),
        new("player", "sfplay~ 2", (920, 420, 70), (2, 3)),
        new("plugout", "plugout~", (820, 480, 60), (2, 2)),
    )
    patch.join(
        *((source, side, "plugout", side) for source in ("plugin", "player") for side in (0, 1))
    )


def _add_scripts(patch: Patch) -> None:
    """The script of the protocol, and the one that talks to Live."""
    add_core(patch, 420, 320, "js retimbre.js")
    patch.add(
        new("there", "live.thisdevice", (40, 60, 96), (1, 3)),
        new("live", "js retimbre-live.js", (420, 240, 260), LIVE_PORTS),
    )
    patch.join(("there", 0, "live", 0), ("live", 0, "core", 0), ("live", 2, "player", 0))
    for outlet, name in enumerate(("progress", "result", "done", "fail"), start=1):
        patch.add(new(name, f"prepend {name}", (528 + 92 * outlet, 380, 88), (1, 1)))
        patch.join(("core", outlet, name, 0), (name, 0, "live", 1))
    patch.add(
        new("news", "route menu connected", (420, 420, 130), (3, 3)),
        new("connected", "prepend connected", (480, 450, 110), (1, 1)),
    )
    patch.join(
        ("core", CORE_NEWS, "news", 0), ("news", 1, "connected", 0), ("connected", 0, "live", 1)
    )


def _add_status(patch: Patch) -> None:
    """The status line and the progress bar above it."""
    bar = {"size": 1.0, "floatoutput": 1, "orientation": 1, "ignoreclick": 1, "parameter_enable": 0}
    patch.add(
        box("status", "comment", (720, 240, 300), (1, 0), (8, 144, 544, 20), text=""),
        box("bar", "slider", (720, 210, 160, 12), (1, 1), (8, 132, 544, 10), **bar),
    )
    patch.join(("live", 1, "status", 0), ("live", 3, "bar", 0))


def _add_words(patch: Patch) -> None:
    words = {"keymode": 1, "lines": 2, "text": "turn this into a violin", "parameter_enable": 0}
    patch.add(
        box("words", "textedit", (40, 100, 230, 44), (1, 4), (8, 8, 232, 44), **words),
        new("route text", "route text", (40, 150, 66), (2, 2)),
        new("prepend text", "prepend text", (40, 180, 80), (1, 1)),
    )
    patch.join(
        ("words", 0, "route text", 0),
        ("route text", 0, "prepend text", 0),
        ("prepend text", 0, "live", 0),
    )


def _add_styles(patch: Patch) -> None:
    """Two style menus and the blend between them."""
    for index in (0, 1):
        x, menu, name = 300 + 140 * index, f"style{index + 1}", f"prepend style{index + 1}"
        patch.add(
            box(
                menu,
                "umenu",
                (x, 100, 120),
                (1, 3),
                (8 + 94 * index, 62, 90, 22),
                items=["-"],
                parameter_enable=0,
            ),
            new(name, name, (x + 20, 130, 100), (1, 1)),
        )
        patch.join((menu, 1, name, 0), (name, 0, "live", 0), ("news", 0, menu, 0))
    _add_dial(patch, BLEND, (580, 60), (204, 54), "prepend blend")


def _add_buttons(patch: Patch) -> None:
    """Go takes the words as they stand, even if Enter was not pressed."""
    patch.add(new("go first", "trigger go bang", (40, 300, 96), (1, 2)))
    patch.join(("go first", 1, "words", 0), ("go first", 0, "live", 0))
    look = {"mode": 0, "fontsize": 10.0, "parameter_enable": 0}
    for index, label in enumerate(BUTTONS):
        x, name = 40 + 70 * index, label.lower()
        shown = (8 + 56 * index, 104, 54, 22)
        button = box(
            f"button {name}", "textbutton", (x, 260, 62, 20), (1, 3), shown, text=label, **look
        )
        patch.add(button)
        if name == "go":
            patch.join((button.name, 0, "go first", 0))
        else:
            patch.add(message(name, name, (x, 330, 60)))
            patch.join((button.name, 0, name, 0), (name, 0, "live", 0))


def _add_knobs(patch: Patch) -> None:
    """Dials, which count only while "own" is on; and the seed."""
    for index, knob in enumerate(KNOBS):
        place, shown = (660 + 90 * index, 60), (256 + 46 * index, 8)
        _add_dial(patch, knob, place, shown, f"prepend knob {knob.name}")
    patch.add(
        box("own", "live.toggle", (1110, 60, 20, 20), (1, 1), (490, 14, 20, 20), **switch("own")),
        new("prepend own", "prepend own", (1110, 130, 76), (1, 1)),
        comment("own", (1132, 60, 40), (512, 14, 44, 20), fontsize=10.0),
        box(
            "seed", "live.numbox", (1110, 170, 56, 15), (1, 2), (294, 64, 60, 15), **parameter(SEED)
        ),
        comment("seed", (1070, 170, 40), (256, 62, 36, 20), fontsize=10.0),
        new("prepend seed", "prepend seed", (1110, 200, 80), (1, 1)),
    )
    patch.join(
        ("own", 0, "prepend own", 0),
        ("seed", 0, "prepend seed", 0),
        ("prepend own", 0, "live", 0),
        ("prepend seed", 0, "live", 0),
    )


def _add_dial(patch: Patch, knob: Knob, place: Numbers, shown: Numbers, text: str) -> None:
    size, (x, y) = (44, 48), place
    dial = box(knob.name, "live.dial", (x, y, *size), (1, 2), (*shown, *size), **parameter(knob))
    patch.add(dial, new(text, text, (x, y + 70, 84), (1, 1)))
    patch.join((knob.name, 0, text, 0), (text, 0, "live", 0))
