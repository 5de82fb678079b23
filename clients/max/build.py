"""Writes the Max patches: retimbre.maxpat, retimbre.maxhelp, Retimbre.amxd, and their pictures.

    python clients/max/build.py [FOLDER]

The patches are data in patches/. The same data gives the same bytes, so a test can tell whether
the committed files are what this script writes. Only the standard library.
"""

from __future__ import annotations

import sys
from pathlib import Path

from patches.abstraction import abstraction
from patches.device import HEIGHT, WIDTH, device, device_file
from patches.help import help_patch
from patches.picture import draw_patch, draw_presentation

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "docs" / "clients"


def files() -> dict[Path, bytes]:
    """Everything that is generated, by its place in the repository."""
    live = device()
    texts = {
        HERE / "retimbre.maxpat": abstraction().json(),
        HERE / "retimbre.maxhelp": help_patch().json(),
        PICTURES / "max-abstraction.svg": draw_patch(abstraction()),
        PICTURES / "max-help.svg": draw_patch(help_patch()),
        PICTURES / "max-device.svg": draw_presentation(live, WIDTH, HEIGHT),
    }
    encoded = {path: text.encode() for path, text in texts.items()}
    return {HERE / "Retimbre.amxd": device_file(live), **encoded}


def main(folder: str | None = None) -> None:
    """Write them; with a folder, all of them there."""
    for path, data in files().items():
        (path if folder is None else Path(folder) / path.name).write_bytes(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
