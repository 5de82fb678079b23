"""Which numbers did hearing learn? The weights of bars and keys, from a file beside this one.

`python -m evaluation.exams.hearing --fit N` learns the file again from N of the arranger's pieces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

PATH = Path(__file__).with_name("learned.json")


class LearnedTables(NamedTuple):
    """What the file holds, as arrays."""

    bars: Mapping[int, np.ndarray]  # beats in a bar -> [half beats of the bar, bars.FEATURES]
    bars_general: np.ndarray  # [bars.GENERAL_FEATURES]
    # mode -> [2, 12]: what each degree's share of all notes, and of the bass, says for it
    keys: Mapping[str, np.ndarray]


@lru_cache(maxsize=1)
def tables() -> LearnedTables:
    """The tables that come with the package."""
    values = json.loads(PATH.read_text(encoding="utf-8"))
    return LearnedTables(
        {int(metre): np.array(rows) for metre, rows in values["bars"].items()},
        np.array(values["bars_general"]),
        {mode: np.array(pair) for mode, pair in values["keys"].items()},
    )


def write(learned: LearnedTables, path: Path = PATH) -> None:
    """Replace the file, with a line for each row."""
    values = {
        "bars": {str(metre): rows.tolist() for metre, rows in learned.bars.items()},
        "bars_general": learned.bars_general.tolist(),
        "keys": {mode: pair.tolist() for mode, pair in learned.keys.items()},
    }
    path.write_text(_to_text(values) + "\n", encoding="utf-8")


def _to_text(value: Mapping | list, indent: int = 0) -> str:
    """JSON whose innermost lists stay on one line."""
    within = "\n" + " " * (indent + 1)
    if isinstance(value, Mapping):
        items = [f"{json.dumps(key)}: {_to_text(own, indent + 1)}" for key, own in value.items()]
        brackets = "{}"
    elif isinstance(value[0], list):
        items, brackets = [json.dumps(row) for row in value], "[]"
    else:
        return json.dumps(value)
    return brackets[0] + within + f",{within}".join(items) + "\n" + " " * indent + brackets[1]
