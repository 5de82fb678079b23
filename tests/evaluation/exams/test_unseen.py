"""Figures of a model that changes nothing are those of its source."""

import pytest

from evaluation.corpus.pairs import render_pairs
from evaluation.exams.unseen import examine_pair, per_target, summary


def test_a_model_that_changes_nothing_gets_the_figures_of_the_source(pair_renderer, judge, echo):
    results = [
        examine_pair(echo, judge, pair, sounds, {})
        for pair, sounds in render_pairs(pair_renderer, 2, 0)
    ]
    rows = summary(results)
    assert rows["stem"] == rows["source"]
    assert rows["codec"] == rows["true"]
    assert (
        rows["stem"]["chroma"]["mean"] == pytest.approx(1, abs=1e-5)
        and rows["true"]["log_mel"]["mean"] == 0
    )
    assert sum(entry["asked"] for entry in per_target(results).values()) == 2
