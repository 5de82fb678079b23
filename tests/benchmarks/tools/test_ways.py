"""What a way took is told by its parts; a bar for each in the picture."""

import time

import pytest

pytest.importorskip("torch")

from benchmarks import plot
from benchmarks.figures import Figure
from benchmarks.tools import ways


def busy(seconds):
    ends_at = time.process_time() + seconds
    while time.process_time() < ends_at:
        pass


def test_a_watch_adds_up_what_each_part_took():
    watch = ways.Watch()
    run = watch.on("part", busy)
    run(0.02)
    run(0.01)
    assert watch.seconds["part"] == pytest.approx(0.03, abs=0.01)


def test_a_watch_counts_operations_while_it_has_a_counter():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    watch, matrix = ways.Watch(), torch.ones(4, 8)
    product = watch.on("product", lambda: matrix @ matrix.T)
    with FlopCounterMode(display=False) as watch.counter:
        product()
    watch.counter = None
    product()
    assert watch.operations == {"product": 2 * 4 * 8 * 4}


def test_a_way_runs_in_a_process_of_its_own_or_says_why_it_did_not(tmp_path):
    with pytest.raises(RuntimeError, match="scaling, no such way"):
        ways.measure_way("scaling", "no such way", tmp_path, 1)


def test_figures_become_bars(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        Figure("one", 3.0, "CPU s", parts={"unet": 2.0, "the rest": 1.0}),
        Figure("two", 1.0, "CPU s"),
        Figure("memory", 9.0, "MB"),
    ]
    plot.draw({"audioldm2": rows, "start": [Figure("start", 1.0, "s")]}, tmp_path / "bars.svg")
    assert "<svg" in (tmp_path / "bars.svg").read_text(encoding="utf-8")
