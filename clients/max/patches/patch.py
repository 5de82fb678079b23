"""What is a patch? Boxes and the cords between them, and the JSON that Max reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Numbers = tuple[float, ...]  # x, y, width, height in pixels; from the third on with defaults
Ports = tuple[int, int]  # inlets, outlets
Cord = tuple[str, int, str, int]  # source, outlet, target, inlet

# fmt: off
FILE_HEAD = {
    "fileversion": 1,
    "appversion": {"major": 8, "minor": 6, "revision": 4, "architecture": "x64", "modernui": 1},
    "classnamespace": "box",
}
FILE_LOOK = {
    "bglocked": 0, "openinpresentation": 0,
    "default_fontsize": 12.0, "default_fontface": 0, "default_fontname": "Arial",
    "gridsize": [15.0, 15.0],
}
# fmt: on


@dataclass(frozen=True)
class Box:
    """A box of the class `kind`; `shown` is its place in presentation."""

    name: str
    kind: str
    place: Numbers
    ports: Ports
    shown: Numbers | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    def json(self, number: int) -> dict[str, Any]:
        """The box as Max writes it; `number` makes its identifier."""
        inlets, outlets = self.ports
        box: dict[str, Any] = {
            "id": f"obj-{number}",
            "maxclass": self.kind,
            "numinlets": inlets,
            "numoutlets": outlets,
        }
        if outlets:
            box["outlettype"] = [""] * outlets
        box["patching_rect"] = [float(value) for value in (*self.place, 22)[:4]]
        if self.shown:
            box["presentation"] = 1
            box["presentation_rect"] = [float(value) for value in self.shown]
        return {**box, **self.attributes}


def box(
    name: str,
    kind: str,
    place: Numbers,
    ports: Ports,
    shown: Numbers | None = None,
    **attributes: Any,
) -> Box:
    return Box(name, kind, place, ports, shown, attributes)


def new(name: str, text: str, place: Numbers, ports: Ports) -> Box:
    """An object box: Max makes what its text says."""
    return box(name, "newobj", place, ports, text=text)


def message(name: str, text: str, place: Numbers) -> Box:
    return box(name, "message", place, (2, 1), text=text)


def comment(text: str, place: Numbers, shown: Numbers | None = None, **attributes: Any) -> Box:
    return box(f"comment {text}", "comment", place, (1, 0), shown, text=text, **attributes)


class Patch:
    """Boxes by name, as Max writes them, and the cords between them."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.boxes: dict[str, dict[str, Any]] = {}
        self.cords: list[Cord] = []

    def add(self, *boxes: Box) -> None:
        for one in boxes:
            self.boxes[one.name] = one.json(len(self.boxes) + 1)

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
            **FILE_HEAD,
            "rect": [80.0, 80.0, float(self.width), float(self.height)],
            **FILE_LOOK,
            **more,
            "boxes": [{"box": box} for box in self.boxes.values()],
            "lines": lines,
            "dependency_cache": [],
            "autosave": 0,
        }
        return json.dumps({"patcher": patcher}, indent=1, ensure_ascii=False) + "\n"
