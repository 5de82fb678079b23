"""Writes the Max patches: retimbre.maxpat (abstraction), retimbre.maxhelp, Retimbre.amxd (Live
device), and pictures.

python clients/max/build.py [FOLDER]

The patches are data below: a box is its text, its place and its ports, a cord joins two ports. The
same data gives the same bytes, so a test can tell whether the committed files are what this script
writes. Only the standard library.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "docs" / "clients"
CORE_PORTS, LIVE_PORTS = (2, 7), (2, 4)  # inlets, outlets: as the scripts declare them
CORE_NEWS = 5  # the outlet of retimbre.js for everything that is not about a job
DEVICE_WIDTH, DEVICE_HEIGHT = 560, 169  # pixels; Live fixes the height

FLOAT, INT = 0, 1  # parameter_type of live.* objects

Cord = tuple[str, int, str, int]  # source, outlet, target, inlet


@dataclass
class Patch:
    """Boxes by name, and the cords between them."""

    width: int
    height: int
    boxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    cords: list[Cord] = field(default_factory=list)

    def box(
        self,
        name: str,
        kind: str,
        place: tuple[float, ...],
        ports: tuple[int, int],
        *,
        shown: tuple[float, ...] | None = None,
        **more: Any,
    ) -> str:
        """A box of the class `kind`.

        place: x, y, width and perhaps height; shown: the same in presentation.
        """
        rectangle = [float(number) for number in (*place, 22)[:4]]
        outlets = {"outlettype": [""] * ports[1]} if ports[1] else {}
        presented = (
            {"presentation": 1, "presentation_rect": [float(number) for number in shown]}
            if shown
            else {}
        )
        self.boxes[name] = {
            "id": f"obj-{len(self.boxes) + 1}",
            "maxclass": kind,
            "numinlets": ports[0],
            "numoutlets": ports[1],
            **outlets,
            "patching_rect": rectangle,
            **presented,
            **more,
        }
        return name

    def object(
        self, name: str, text: str, place: tuple[float, ...], ports: tuple[int, int], **more: Any
    ) -> str:
        return self.box(name, "newobj", place, ports, text=text, **more)

    def message(self, name: str, text: str, place: tuple[float, ...], **more: Any) -> str:
        return self.box(name, "message", place, (2, 1), text=text, **more)

    def comment(self, text: str, place: tuple[float, ...], **more: Any) -> str:
        return self.box(f"comment {text}", "comment", place, (1, 0), text=text, **more)

    def join(self, *cords: Cord) -> None:
        self.cords.extend(cords)

    def json(self, **more: Any) -> str:
        """The file as Max reads it."""
        lines = [
            {
                "patchline": {
                    "source": [self.boxes[source]["id"], outlet],
                    "destination": [self.boxes[target]["id"], inlet],
                }
            }
            for source, outlet, target, inlet in self.cords
        ]
        patcher = {
            "fileversion": 1,
            "appversion": {
                "major": 8,
                "minor": 6,
                "revision": 4,
                "architecture": "x64",
                "modernui": 1,
            },
            "classnamespace": "box",
            "rect": [80.0, 80.0, float(self.width), float(self.height)],
            "bglocked": 0,
            "openinpresentation": 0,
            "default_fontsize": 12.0,
            "default_fontface": 0,
            "default_fontname": "Arial",
            "gridsize": [15.0, 15.0],
            **more,
            "boxes": [{"box": box} for box in self.boxes.values()],
            "lines": lines,
            "dependency_cache": [],
            "autosave": 0,
        }
        return json.dumps({"patcher": patcher}, indent=1, ensure_ascii=False) + "\n"


def core(patch: Patch, x: float, y: float, script: str) -> None:
    """The script of the protocol between its two sockets: core, udpsend, udpreceive."""
    patch.object("receive", "udpreceive 11021", (x + 180, y - 40, 110), (1, 1))
    patch.object("core", script, (x, y, 200), CORE_PORTS)
    patch.object("send", "udpsend 127.0.0.1 11020", (x, y + 45, 150), (1, 0))
    patch.join(("receive", 0, "core", 1), ("core", 0, "send", 0), ("core", 6, "receive", 0))


def abstraction() -> Patch:
    """[retimbre]: one inlet for commands; outlets for progress, result, done, fail and news."""
    patch = Patch(640, 320)
    patch.comment("[retimbre HOST PORT LISTEN-PORT]: all may be left out", (20, 12, 400))
    patch.box(
        "in",
        "inlet",
        (60, 50, 30, 30),
        (0, 1),
        index=1,
        comment="edit PATH WORDS, buffer NAME WORDS, capture BARS WORDS, cancel, again, preset NAME, "
        "key NAME VALUE, presets",
    )
    core(patch, 60, 130, "js retimbre.js #1 #2 #3")
    patch.join(("in", 0, "core", 0))
    names = (
        "progress: fraction, stage",
        "result: index stem path rate channels frames start beats",
        "done: stems seed seconds",
        "fail: code message",
        "news: connected, menu, preset, folder, log, state",
    )
    for index, comment in enumerate(names):
        patch.box(
            f"out {index}",
            "outlet",
            (240 + 75 * index, 240, 30, 30),
            (1, 0),
            index=index + 1,
            comment=comment,
        )
        patch.comment(comment.partition(":")[0], (240 + 75 * index, 272, 70))
        patch.join(("core", index + 1, f"out {index}", 0))
    return patch


def help_patch() -> Patch:
    """retimbre.maxhelp: from a file, from a buffer~, styles, knobs; the stem can be heard."""
    patch = Patch(900, 520)
    patch.comment(
        "retimbre: send a region of audio and a few words; a stem comes back that fits in the same place",
        (20, 12, 700),
    )
    patch.comment("1. Start the server in a terminal: retimbre serve --root ~/Music", (20, 36, 520))
    patch.comment("2. From a file (in a --root folder):", (20, 66, 210))
    patch.box("choose", "button", (20, 90, 24, 24), (1, 1))
    patch.object("dialog", "opendialog sound", (20, 122, 110), (1, 2))
    patch.message("edit", "edit $1 turn this into a violin", (20, 154, 190))
    patch.comment("3. From a buffer~ (needs no --root):", (240, 66, 240))
    patch.message("fill", "replace cello-f2.aif", (240, 90, 130))
    patch.object("source", "buffer~ source", (240, 122, 100), (1, 2))
    patch.message("buffer", "buffer source turn this into a flute", (240, 154, 220))
    patch.message("into", "into stem", (480, 154, 66))
    patch.object("stem", "buffer~ stem", (480, 122, 100), (1, 2))
    patch.comment("4. Styles and knobs, for all that follow:", (570, 66, 260))
    patch.box("menu", "umenu", (590, 90, 160), (1, 3), items=["-"], parameter_enable=0)
    patch.object("preset", "prepend preset", (640, 122, 96), (1, 1))
    patch.message("blend", "preset harp 0.7 choir 0.3", (590, 154, 160))
    patch.message("seed", "key seed 3", (760, 122, 72))
    patch.message("strength", "key strength 0.8", (760, 154, 104))
    patch.message("cancel", "cancel", (590, 190, 50))
    patch.message("again", "again seed 4", (650, 190, 80))
    patch.message("presets", "presets", (760, 90, 56))
    patch.object("retimbre", "retimbre", (240, 250, 320), (1, 5))
    patch.object("split progress", "unpack 0. s", (40, 320, 80), (1, 2))
    patch.box(
        "bar",
        "slider",
        (40, 352, 160, 20),
        (1, 1),
        size=1.0,
        floatoutput=1,
        orientation=1,
        parameter_enable=0,
    )
    patch.object("set stage", "prepend set", (105, 384, 76), (1, 1))
    patch.message("stage", "", (105, 414, 100))
    patch.object("split result", "unpack 0 s s", (240, 320, 90), (1, 3))
    patch.object("open", "prepend open", (310, 352, 84), (1, 1))
    patch.box("play", "toggle", (250, 384, 24, 24), (1, 1), parameter_enable=0)
    patch.comment("5. hear it", (276, 386, 70))
    patch.object("player", "sfplay~ 2", (310, 414, 80), (2, 3))
    patch.box("speakers", "ezdac~", (310, 450, 45, 45), (2, 0))
    patch.object("print done", "print done", (420, 320, 70), (1, 0))
    patch.object("print fail", "print fail", (500, 320, 66), (1, 0))
    patch.object("route", "route menu connected", (590, 320, 130), (3, 3))
    patch.box("connected", "toggle", (650, 352, 24, 24), (1, 1), parameter_enable=0)
    patch.comment("the server answers", (678, 354, 130))
    patch.object("print news", "print news", (720, 384, 70), (1, 0))
    patch.join(
        ("choose", 0, "dialog", 0),
        ("dialog", 0, "edit", 0),
        ("fill", 0, "source", 0),
        ("menu", 1, "preset", 0),
    )
    patch.join(
        *(
            (name, 0, "retimbre", 0)
            for name in (
                "edit",
                "buffer",
                "into",
                "preset",
                "blend",
                "seed",
                "strength",
                "cancel",
                "again",
                "presets",
            )
        )
    )
    patch.join(
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
    return patch


# name, low, high, at the start, type: what the dials stand for. Ranges as in docs/osc.md.
KNOBS = (
    ("strength", 0.0, 2.0, 1.0, FLOAT),
    ("guidance", 0.0, 10.0, 3.0, FLOAT),
    ("steps", 1, 100, 8, INT),
    ("pooling", 1, 8, 2, INT),
)


def parameter(name: str, low: float, high: float, start: float, kind: int) -> dict[str, Any]:
    """What makes a live.* object a parameter that the Live Set keeps."""
    value = {
        "parameter_initial": [start],
        "parameter_initial_enable": 1,
        "parameter_longname": name,
        "parameter_mmax": float(high),
        "parameter_mmin": float(low),
        "parameter_modmode": 0,
        "parameter_shortname": name,
        "parameter_type": kind,
        "parameter_unitstyle": 1 - kind,
    }
    return {
        "parameter_enable": 1,
        "varname": name,
        "saved_attribute_attributes": {"valueof": value},
    }


def device() -> Patch:
    """Retimbre.amxd: the clip in the Clip View goes out, the stem comes onto a new track."""
    patch = Patch(1100, 560)
    _device_sound(patch)
    _device_scripts(patch)
    _device_words(patch)
    _device_buttons(patch)
    _device_knobs(patch)
    return patch


def _device_sound(patch: Patch) -> None:
    """What comes in goes out; the audition is added to it."""
    patch.object("plugin", "plugin~", (820, 420, 60), (2, 2))
    patch.object("player", "sfplay~ 2", (920, 420, 70), (2, 3))
    patch.object("plugout", "plugout~", (820, 480, 60), (2, 2))
    patch.join(
        *((source, side, "plugout", side) for source in ("plugin", "player") for side in (0, 1))
    )


def _device_scripts(patch: Patch) -> None:
    core(patch, 420, 320, "js retimbre.js")
    patch.object("there", "live.thisdevice", (40, 60, 96), (1, 3))
    patch.object("live", "js retimbre-live.js", (420, 240, 260), LIVE_PORTS)
    patch.join(("there", 0, "live", 0), ("live", 0, "core", 0), ("live", 2, "player", 0))
    for outlet, name in enumerate(("progress", "result", "done", "fail"), start=1):
        patch.object(name, f"prepend {name}", (620 + 92 * (outlet - 1), 380, 88), (1, 1))
        patch.join(("core", outlet, name, 0), (name, 0, "live", 1))
    patch.object("news", "route menu connected", (420, 420, 130), (3, 3))
    patch.object("connected", "prepend connected", (480, 450, 110), (1, 1))
    patch.join(
        ("core", CORE_NEWS, "news", 0), ("news", 1, "connected", 0), ("connected", 0, "live", 1)
    )
    patch.box("status", "comment", (720, 240, 300), (1, 0), shown=(8, 144, 544, 20), text="")
    patch.box(
        "bar",
        "slider",
        (720, 210, 160, 12),
        (1, 1),
        shown=(8, 132, 544, 10),
        size=1.0,
        floatoutput=1,
        orientation=1,
        ignoreclick=1,
        parameter_enable=0,
    )
    patch.join(("live", 1, "status", 0), ("live", 3, "bar", 0))


def _device_words(patch: Patch) -> None:
    """The text box, two style menus and the blend between them."""
    patch.box(
        "words",
        "textedit",
        (40, 100, 230, 44),
        (1, 4),
        shown=(8, 8, 232, 44),
        keymode=1,
        lines=2,
        text="turn this into a violin",
        parameter_enable=0,
    )
    patch.object("route text", "route text", (40, 150, 66), (2, 2))
    patch.object("prepend text", "prepend text", (40, 180, 80), (1, 1))
    patch.join(
        ("words", 0, "route text", 0),
        ("route text", 0, "prepend text", 0),
        ("prepend text", 0, "live", 0),
    )
    for index in (1, 2):
        x = 300 + 140 * (index - 1)
        menu = patch.box(
            f"style{index}",
            "umenu",
            (x, 100, 120),
            (1, 3),
            shown=(8 + 94 * (index - 1), 62, 90, 22),
            items=["-"],
            parameter_enable=0,
        )
        name = patch.object(
            f"prepend style{index}", f"prepend style{index}", (x + 20, 130, 100), (1, 1)
        )
        patch.join((menu, 1, name, 0), (name, 0, "live", 0), ("news", 0, menu, 0))
    _dial(patch, "blend", ("blend", 0.0, 1.0, 0.0, FLOAT), (580, 60), (204, 54), "prepend blend")


def _device_buttons(patch: Patch) -> None:
    """Go takes the words as they stand, also where Enter was not pressed."""
    patch.object("go first", "trigger go bang", (40, 300, 96), (1, 2))
    patch.join(("go first", 1, "words", 0), ("go first", 0, "live", 0))
    for index, (name, label) in enumerate(
        (
            ("go", "Go"),
            ("cancel", "Cancel"),
            ("audition", "Audition"),
            ("stop", "Stop"),
            ("place", "Place"),
        )
    ):
        x = 40 + 70 * index
        patch.box(
            f"button {name}",
            "textbutton",
            (x, 260, 62, 20),
            (1, 3),
            shown=(8 + 56 * index, 104, 54, 22),
            text=label,
            mode=0,
            fontsize=10.0,
            parameter_enable=0,
        )
        if name == "go":
            patch.join(("button go", 0, "go first", 0))
        else:
            patch.message(name, name, (x, 330, 60))
            patch.join((f"button {name}", 0, name, 0), (name, 0, "live", 0))


def _device_knobs(patch: Patch) -> None:
    """Dials, which count only while "own" is on; and the seed, -1 for any."""
    for index, knob in enumerate(KNOBS):
        _dial(
            patch,
            knob[0],
            knob,
            (660 + 90 * index, 60),
            (256 + 56 * index, 8),
            f"prepend knob {knob[0]}",
        )
    patch.box(
        "own",
        "live.toggle",
        (1020, 60, 20, 20),
        (1, 1),
        shown=(484, 14, 20, 20),
        parameter_enable=1,
        varname="own",
        saved_attribute_attributes={
            "valueof": {
                "parameter_enum": ["off", "on"],
                "parameter_initial": [0],
                "parameter_initial_enable": 1,
                "parameter_longname": "own",
                "parameter_mmax": 1,
                "parameter_modmode": 0,
                "parameter_shortname": "own",
                "parameter_type": 2,
            }
        },
    )
    patch.object("prepend own", "prepend own", (1020, 130, 76), (1, 1))
    patch.comment("own", (1042, 60, 40), shown=(506, 14, 50, 20), fontsize=10.0)
    patch.box(
        "seed",
        "live.numbox",
        (1020, 170, 56, 15),
        (1, 2),
        shown=(294, 64, 60, 15),
        **parameter("seed", -1, 2**24 - 1, -1, INT),
    )
    patch.comment("seed", (980, 170, 40), shown=(256, 62, 36, 20), fontsize=10.0)
    patch.object("prepend seed", "prepend seed", (1020, 200, 80), (1, 1))
    patch.join(
        *((name, 0, f"prepend {name}", 0) for name in ("own", "seed")),
        *((f"prepend {name}", 0, "live", 0) for name in ("own", "seed")),
    )


def _dial(patch: Patch, name: str, knob: tuple, place: tuple, shown: tuple, text: str) -> None:
    patch.box(
        name, "live.dial", (*place, 44, 48), (1, 2), shown=(*shown, 44, 48), **parameter(*knob)
    )
    patch.object(text, text, (place[0], place[1] + 70, 84), (1, 1))
    patch.join((name, 0, text, 0), (text, 0, "live", 0))


def amxd(patcher: str) -> bytes:
    """An unfrozen Live device: chunks of a name, a little-endian length and the data. aaaa: audio
    effect.
    """
    chunks = ((b"ampf", b"aaaa"), (b"meta", bytes(4)), (b"ptch", patcher.encode() + b"\0"))
    return b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)


def picture(patch: Patch, is_presentation: bool = False) -> str:
    """The patch as SVG, from the same boxes and cords: what Max shows, drawn plainly."""
    key = "presentation_rect" if is_presentation else "patching_rect"
    size = (DEVICE_WIDTH, DEVICE_HEIGHT) if is_presentation else (patch.width, patch.height)
    shown = {name: box for name, box in patch.boxes.items() if key in box}
    parts = [] if is_presentation else [_cord(patch.boxes, cord) for cord in patch.cords]
    parts += [_drawn(box, box[key]) for box in shown.values()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" font-family="sans-serif" '
        f'font-size="10"><rect width="100%" height="100%" fill="#e8e8e4"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _port(box: dict[str, Any], index: int, count: int) -> float:
    """Where along its side a port lies: the first left, the last right."""
    x, _, width, _ = box["patching_rect"]
    return x + 6 + (width - 12) * (index / (count - 1) if count > 1 else 0)


def _cord(boxes: dict[str, dict[str, Any]], cord: Cord) -> str:
    source, target = boxes[cord[0]], boxes[cord[2]]
    from_x, to_x = (
        _port(source, cord[1], source["numoutlets"]),
        _port(target, cord[3], target["numinlets"]),
    )
    from_y, to_y = (
        source["patching_rect"][1] + source["patching_rect"][3],
        target["patching_rect"][1],
    )
    bend = 20 + abs(to_y - from_y) / 4
    return (
        f'<path d="M{from_x:.0f} {from_y:.0f} C{from_x:.0f} {from_y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} '
        f'{to_x:.0f} {to_y:.0f}" fill="none" stroke="#8a8a84"/>'
    )


FILLS = {
    "newobj": "#d4d8dc",
    "message": "#f4f4f0",
    "comment": "none",
    "live.dial": "#f2c48a",
    "textedit": "#ffffff",
    "textbutton": "#f2c48a",
    "umenu": "#ffffff",
}


UNNAMED = {"umenu": "style", "slider": "", "comment": "(what happens now)"}


def _drawn(box: dict[str, Any], rectangle: list[float]) -> str:
    x, y, width, height = rectangle
    kind = box["maxclass"]
    label = box.get("text") or box.get("varname") or UNNAMED.get(kind, kind)
    if width < 40 and kind != "comment":
        label = ""
    fill = FILLS.get(kind, "#d4d8dc")
    frame = (
        ""
        if kind == "comment"
        else (
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
            f'rx="3" fill="{fill}" stroke="#60605c"/>'
        )
    )
    return f'{frame}<text x="{x + 4:.0f}" y="{y + 14:.0f}" fill="#202020">{escape(label)}</text>'


def files() -> dict[Path, bytes]:
    """Everything that is generated, by its place in the repository."""
    live = device()
    # In a Live Set the parameters are listed beside the boxes: id -> long name, short name, kind.
    listed = {
        box["id"]: [box["varname"], box["varname"], 0]
        for box in live.boxes.values()
        if "varname" in box
    }
    patcher = live.json(
        openinpresentation=1,
        devicewidth=float(DEVICE_WIDTH),
        parameters=listed,
        openrect=[0.0, 0.0, float(DEVICE_WIDTH), float(DEVICE_HEIGHT)],
    )
    texts = {
        HERE / "retimbre.maxpat": abstraction().json(),
        HERE / "retimbre.maxhelp": help_patch().json(),
        PICTURES / "max-abstraction.svg": picture(abstraction()),
        PICTURES / "max-help.svg": picture(help_patch()),
        PICTURES / "max-device.svg": picture(live, is_presentation=True),
    }
    return {
        HERE / "Retimbre.amxd": amxd(patcher),
        **{path: text.encode() for path, text in texts.items()},
    }


def main(folder: str | None = None) -> None:
    """Write them; with a folder, all of them there."""
    for path, data in files().items():
        (path if folder is None else Path(folder) / path.name).write_bytes(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
