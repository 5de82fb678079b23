"""How good are stems of real recordings? There is no true rendering, only source and codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from evaluation.exams.unseen import MELODY_KEPT_BY_CODEC
from evaluation.methods.models import EditingModel
from evaluation.metrics.judge import Judge
from evaluation.metrics.means import figure_means, mean_and_error
from evaluation.metrics.similarity import chroma_similarity, onset_f, raw_chroma_accuracy
from evaluation.metrics.sound import Sound

TARGETS = ("violin", "trumpet", "flute", "piano", "nylon guitar", "church organ")
FIGURES = {
    "accuracy": "(a) accuracy",
    "chroma": "(b) chroma",
    "onset_f": "(c) onset F",
    "melody": "(f) melody",
}


def examine_recording(
    model: EditingModel,
    judge: Judge,
    name: str,
    source: Sound,
    knobs: Mapping[str, Any],
    advance: Callable[[], None],
) -> dict[str, Any]:
    """Figures of one source: through the codec, and as each target."""
    codec = model.reconstruct(source)
    ceiling = _figures(codec, source, "", judge)
    has_melody = ceiling["melody"] > MELODY_KEPT_BY_CODEC
    targets = {}
    for target in TARGETS:
        stem = model.edit(source, f"turn this into a {target}", knobs)
        figures = _figures(stem, source, target, judge, with_melody=has_melody)
        targets[target] = {**figures, "heard": judge.name(stem)}
        advance()
    return {
        "source": name,
        "source_heard_as": judge.name(source),
        "codec_heard_as": judge.name(codec),
        "has_melody": has_melody,
        "codec": {figure: ceiling[figure] for figure in ("chroma", "onset_f", "melody")},
        "targets": targets,
    }


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over all stems, each target and each source, and of the codec; the lowest chroma."""
    stems = [stem for item in results for stem in item["targets"].values()]
    melodic = [item for item in results if item["has_melody"]]
    codecs = [item["codec"] for item in results]
    return {
        "all": figure_means(FIGURES, stems),
        "by_target": {
            target: figure_means(FIGURES, [item["targets"][target] for item in results])
            for target in TARGETS
        },
        "by_source": {
            item["source"]: figure_means(FIGURES, list(item["targets"].values()))
            for item in results
        },
        "codec": {
            **figure_means(("chroma", "onset_f"), codecs),
            "melody": mean_and_error([item["codec"]["melody"] for item in melodic]),
        },
        "melodic_sources": [item["source"] for item in melodic],
        "lowest_chroma": min((stem["chroma"] for stem in stems), default=float("nan")),
    }


def _figures(
    sound: Sound, source: Sound, target: str, judge: Judge, with_melody: bool = True
) -> dict[str, float]:
    with_melody = with_melody and bool(np.any(source.pitch[1]))
    nan = float("nan")
    return {
        "accuracy": float(judge.name(sound) == target) if target else nan,
        "chroma": chroma_similarity(sound, source),
        "onset_f": onset_f(sound, source),
        "melody": raw_chroma_accuracy(sound, source) if with_melody else nan,
    }
