"""What does a patch look like? An SVG from the same boxes and cords, drawn plainly."""

from __future__ import annotations

from html import escape
from typing import Any

from patches.patch import Cord, Patch

FILLS = {
    "newobj": "#d4d8dc",
    "message": "#f4f4f0",
    "comment": "none",
    "live.dial": "#f2c48a",
    "textedit": "#ffffff",
    "textbutton": "#f2c48a",
    "umenu": "#ffffff",
}
# Labels of boxes that have neither text nor name.
LABELS = {"umenu": "style", "slider": "", "comment": "(what happens now)"}
NARROWEST_LABELLED = 40  # pixels


def draw_patch(patch: Patch) -> str:
    """Boxes and cords, as in Max's own window."""
    parts = [_draw_cord(patch.boxes, cord) for cord in patch.cords]
    parts += [_draw_box(box, box["patching_rect"]) for box in patch.boxes.values()]
    return _svg(patch.width, patch.height, parts)


def draw_presentation(patch: Patch, width: int, height: int) -> str:
    """The boxes that are shown in presentation, at their places there."""
    shown = [box for box in patch.boxes.values() if "presentation_rect" in box]
    return _svg(width, height, [_draw_box(box, box["presentation_rect"]) for box in shown])


def _svg(width: int, height: int, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="10">'
        '<rect width="100%" height="100%" fill="#e8e8e4"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _port_x(box: dict[str, Any], index: int, count: int) -> float:
    """Where along its side a port lies: the first left, the last right."""
    x, _, width, _ = box["patching_rect"]
    return x + 6 + (width - 12) * (index / (count - 1) if count > 1 else 0)


def _draw_cord(boxes: dict[str, dict[str, Any]], cord: Cord) -> str:
    source, target = boxes[cord[0]], boxes[cord[2]]
    from_x = _port_x(source, cord[1], source["numoutlets"])
    to_x = _port_x(target, cord[3], target["numinlets"])
    from_y = source["patching_rect"][1] + source["patching_rect"][3]
    to_y = target["patching_rect"][1]
    bend = 20 + abs(to_y - from_y) / 4
    return (
        f'<path d="M{from_x:.0f} {from_y:.0f} C{from_x:.0f} {from_y + bend:.0f} '
        f"{to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"
        '" fill="none" stroke="#8a8a84"/>'
    )


def _draw_box(box: dict[str, Any], rectangle: list[float]) -> str:
    x, y, width, height = rectangle
    kind = box["maxclass"]
    label = box.get("text") or box.get("varname") or LABELS.get(kind, kind)
    if width < NARROWEST_LABELLED and kind != "comment":
        label = ""
    frame = (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'rx="3" fill="{FILLS.get(kind, "#d4d8dc")}" stroke="#60605c"/>'
    )
    text = f'<text x="{x + 4:.0f}" y="{y + 14:.0f}" fill="#202020">{escape(label)}</text>'
    return text if kind == "comment" else frame + text
