"""What is in [retimbre], the abstraction that other patches use?"""

from __future__ import annotations

from patches.patch import Patch, box, comment, new

CORE_PORTS = (2, 7)  # as retimbre.js declares them
COMMANDS = (
    "edit PATH WORDS, buffer NAME WORDS, capture BARS WORDS, cancel, again, preset NAME, "
    "key NAME VALUE, presets"
)
OUTLETS = (
    "progress: fraction, stage",
    "result: index stem path rate channels frames start beats",
    "done: stems seed seconds",
    "fail: code message",
    "news: connected, menu, preset, folder, log, state",
)


def add_core(patch: Patch, x: float, y: float, script: str) -> None:
    """The script of the protocol between its two sockets: core, udpsend, udpreceive."""
    patch.add(
        new("receive", "udpreceive 11021", (x + 180, y - 40, 110), (1, 1)),
        new("core", script, (x, y, 200), CORE_PORTS),
        new("send", "udpsend 127.0.0.1 11020", (x, y + 45, 150), (1, 0)),
    )
    patch.join(("receive", 0, "core", 1), ("core", 0, "send", 0), ("core", 6, "receive", 0))


def abstraction() -> Patch:
    """One inlet for commands; outlets for progress, result, done, fail and news."""
    patch = Patch(640, 320)
    patch.add(
        comment("[retimbre HOST PORT LISTEN-PORT]: all may be left out", (20, 12, 400)),
        box("in", "inlet", (60, 50, 30, 30), (0, 1), index=1, comment=COMMANDS),
    )
    add_core(patch, 60, 130, "js retimbre.js #1 #2 #3")
    patch.join(("in", 0, "core", 0))
    for number, hint in enumerate(OUTLETS, start=1):
        x, name = 165 + 75 * number, f"out {number}"
        patch.add(
            box(name, "outlet", (x, 240, 30, 30), (1, 0), index=number, comment=hint),
            comment(hint.partition(":")[0], (x, 272, 70)),
        )
        patch.join(("core", number, name, 0))
    return patch
