"""Figures become a page and a picture."""

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("matplotlib")

from training.worked_example import page, picture
from training.worked_example.scenario import SHARES


def test_a_page_says_what_was_measured_and_how_often(tmp_path):
    for name in picture.SHOWN:
        soundfile.write(
            tmp_path / f"{name}.flac", np.random.default_rng(0).uniform(-0.1, 0.1, 32_000), 32_000
        )
    row = {
        "seconds": 3.0,
        "numbers": 1234,
        "bytes": 2048,
        "steps": 9,
        "looks": [[0, 0.8], [9, 0.7]],
    }
    heard = {"log_mel": 0.5, "chroma": 0.9, "nearest": "harp"}
    names = (*picture.NAMES, *map("{:g}".format, SHARES))
    found = {
        "gain": {name: [heard, {**heard, "nearest": "steel drums"}] for name in names},
        "kept": {
            **{name: [{"right": True, "log_mel": 0.6}] for name in page.KEPT},
            "same_at_zero": True,
        },
        "switch": {"first": [20.0, 1.0], "again": [0.1, 0.2, 0.3]},
        "live": {
            "reload_ms": 40.0,
            "presets": 49,
            "jobs": [{"label": "base", "checking": 0.001, "total": 0.4}],
        },
    }
    page.write(
        tmp_path / "page.md",
        {"pairs": {"seconds": 5.0}, "lora": row, "words": row},
        found,
        tmp_path,
    )
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert (
        "| LoRA | 0.500 ± 0.000 | 0.900 | 1 of 2 | harp |" in text and "| LoRA | 1 of 1 |" in text
    )
    assert (tmp_path / "pictures" / page.PICTURE).stat().st_size > 1000
