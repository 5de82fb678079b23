"""The family on tiny weights of the real classes, loaded once."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def load_tiny_audioldm2():
    from engine.families.audioldm2.family import load

    with tempfile.TemporaryDirectory() as folder:
        family = load(1, tiny_models(Path(folder)))
        family.warm_up()
    return family


def tiny_models(folder: Path) -> Path:
    from tests.engine.families.audioldm2.tiny import write_models

    return write_models(folder)
