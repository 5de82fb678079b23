"""What is in retimbre.maxhelp? From a file, from a buffer~, styles and knobs; the stem is heard."""

from __future__ import annotations

from patches.patch import Patch, box, comment, message, new

# fmt: off
BOXES = (
    comment(
        "retimbre: send a region of audio and a few words; "
        "a stem comes back that fits in the same place", (20, 12, 700)),
    comment("1. Start the server in a terminal: retimbre serve --root ~/Music", (20, 36, 520)),
    comment("2. From a file (in a --root folder):", (20, 66, 210)),
    box("choose", "button", (20, 90, 24, 24), (1, 1)),
    new("dialog", "opendialog sound", (20, 122, 110), (1, 2)),
    message("edit", "edit $1 turn this into a violin", (20, 154, 190)),
    comment("3. From a buffer~ (needs no --root):", (240, 66, 240)),
    message("fill", "replace cello-f2.aif", (240, 90, 130)),
    new("source", "buffer~ source", (240, 122, 100), (1, 2)),
    message("buffer", "buffer source turn this into a flute", (240, 154, 220)),
    message("into", "into stem", (480, 154, 66)),
    new("stem", "buffer~ stem", (480, 122, 100), (1, 2)),
    comment("4. Styles and knobs, for all that follow:", (570, 66, 260)),
    box("menu", "umenu", (590, 90, 160), (1, 3), items=["-"], parameter_enable=0),
    new("preset", "prepend preset", (640, 122, 96), (1, 1)),
    message("blend", "preset harp 0.7 choir 0.3", (590, 154, 160)),
    message("seed", "key seed 3", (760, 122, 72)),
    message("strength", "key strength 0.8", (760, 154, 104)),
    message("cancel", "cancel", (590, 190, 50)),
    message("again", "again seed 4", (650, 190, 80)),
    message("presets", "presets", (760, 90, 56)),
    new("retimbre", "retimbre", (240, 250, 320), (1, 5)),
    new("split progress", "unpack 0. s", (40, 320, 80), (1, 2)),
    box("bar", "slider", (40, 352, 160, 20), (1, 1),
        size=1.0, floatoutput=1, orientation=1, parameter_enable=0),
    new("set stage", "prepend set", (105, 384, 76), (1, 1)),
    message("stage", "", (105, 414, 100)),
    new("split result", "unpack 0 s s", (240, 320, 90), (1, 3)),
    new("open", "prepend open", (310, 352, 84), (1, 1)),
    box("play", "toggle", (250, 384, 24, 24), (1, 1), parameter_enable=0),
    comment("5. hear it", (276, 386, 70)),
    new("player", "sfplay~ 2", (310, 414, 80), (2, 3)),
    box("speakers", "ezdac~", (310, 450, 45, 45), (2, 0)),
    new("print done", "print done", (420, 320, 70), (1, 0)),
    new("print fail", "print fail", (500, 320, 66), (1, 0)),
    new("route", "route menu connected", (590, 320, 130), (3, 3)),
    box("connected", "toggle", (650, 352, 24, 24), (1, 1), parameter_enable=0),
    comment("the server answers", (678, 354, 130)),
    new("print news", "print news", (720, 384, 70), (1, 0)),
)
COMMANDS = ("edit", "buffer", "into", "preset", "blend", "seed", "strength", "cancel", "again",
            "presets")
CORDS = (
    ("choose", 0, "dialog", 0),
    ("dialog", 0, "edit", 0),
    ("fill", 0, "source", 0),
    ("menu", 1, "preset", 0),
    *((name, 0, "retimbre", 0) for name in COMMANDS),
    ("retimbre", 0, "split progress", 0),
    ("split progress", 0, "bar", 0),
    ("split progress", 1, "set stage", 0),
    ("set stage", 0, "stage", 0),
    ("retimbre", 1, "split result", 0),
    ("split result", 2, "open", 0),
    ("open", 0, "player", 0),
    ("play", 0, "player", 0),
    ("player", 0, "speakers", 0),
    ("player", 1, "speakers", 1),
    ("retimbre", 2, "print done", 0),
    ("retimbre", 3, "print fail", 0),
    ("retimbre", 4, "route", 0),
    ("route", 0, "menu", 0),
    ("route", 1, "connected", 0),
    ("route", 2, "print news", 0),
)
# fmt: on


def help_patch() -> Patch:
    patch = Patch(900, 520)
    patch.add(*BOXES)
    patch.join(*CORDS)
    return patch
