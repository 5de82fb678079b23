"""Recordings, judged against themselves and the codec."""

import numpy as np
import pytest

from evaluation.exams.recordings import TARGETS, examine_recording, summary
from evaluation.metrics.sound import Sound


def test_a_model_that_changes_nothing_keeps_everything_and_becomes_one_instrument_at_most(
    judge, echo, tune
):
    steps = []
    result = examine_recording(echo, judge, "tune", tune, {}, lambda: steps.append(1))
    figures = summary([result])
    assert len(steps) == len(TARGETS)
    assert figures["melodic_sources"] == ["tune"]
    assert figures["all"]["chroma"]["mean"] == pytest.approx(1, abs=1e-5)
    assert figures["all"]["melody"]["mean"] == figures["all"]["onset_f"]["mean"] == 1
    assert figures["all"]["accuracy"]["mean"] <= 1 / len(TARGETS)


def test_melody_is_asked_only_where_the_codec_keeps_it(judge, echo, tune):
    class Deaf(type(echo)):
        def reconstruct(self, sound):
            return Sound(
                np.random.default_rng(0).standard_normal(len(sound.samples)).astype(np.float32),
                32_000,
            )

    result = examine_recording(Deaf(), judge, "tune", tune, {}, lambda: None)
    assert not result["has_melody"]
    assert np.isnan(summary([result])["all"]["melody"]["mean"])
