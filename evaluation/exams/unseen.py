"""How good is a stem of an unseen score? Its figures, beside those of what could be reached.

source (timgm) --model, words--> stem      compared with the source and with the true rendering
same score     --target, timgm-> true      what a perfect model would give
true           --codec---------> codec     what a perfect transformer in front of our decoder would
same score     --target, fluid-> other     a true rendering on another instrument of the kind
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.corpus.pairs import Pair
from evaluation.methods.models import EditingModel
from evaluation.metrics.judge import Judge
from evaluation.metrics.means import figure_means
from evaluation.metrics.similarity import (
    chroma_similarity,
    log_mel_distance,
    onset_f,
    raw_chroma_accuracy,
    tempo_delta_bpm,
)
from evaluation.metrics.sound import Sound

ROWS = {
    "stem": "stem",
    "true": "true rendering",
    "other": "true, other soundfont",
    "codec": "true, through codec",
    "source": "source unchanged",
}
FIGURES = {  # name -> heading
    "accuracy": "(a) accuracy",
    "chroma": "(b) chroma",
    "onset_f": "(c) onset F",
    "log_mel": "(d) log-mel",
    "chroma_true": "chroma to true",
    "tempo": "tempo BPM",
    "melody": "(f) melody",
}
# (f) is measured only on sources that keep more of their melody than this through the codec.
MELODY_KEPT_BY_CODEC = 0.8


def examine_pair(
    model: EditingModel,
    judge: Judge,
    pair: Pair,
    sounds: Mapping[str, Sound],
    knobs: Mapping[str, Any],
    with_melody: bool = False,
) -> dict[str, Any]:
    """Figures of every row for one pair; `with_melody`: (f), too, which is slow."""
    source = sounds["source"]
    rows = {
        **sounds,
        "stem": model.edit(source, pair.text, knobs),
        "codec": model.reconstruct(sounds["true"]),
    }
    figures = {row: _figures(rows[row], rows, judge, pair.target) for row in ROWS if row in rows}
    if with_melody:
        kept = raw_chroma_accuracy(model.reconstruct(source), source)
        for row, entry in figures.items() if kept > MELODY_KEPT_BY_CODEC else ():
            entry["melody"] = raw_chroma_accuracy(rows[row], source)
    return {"pair": vars(pair), "heard": judge.name(rows["stem"]), "rows": figures}


def stem_figures(
    model: EditingModel,
    judge: Judge,
    pair: Pair,
    sounds: Mapping[str, Sound],
    knobs: Mapping[str, Any],
) -> dict[str, float]:
    """Figures of the stem alone, for sweeps over knobs."""
    return _figures(model.edit(sounds["source"], pair.text, knobs), sounds, judge, pair.target)


def _figures(
    sound: Sound, rows: Mapping[str, Sound], judge: Judge, target: str
) -> dict[str, float]:
    return {
        "accuracy": float(judge.name(sound) == target),
        "chroma": chroma_similarity(sound, rows["source"]),
        "onset_f": onset_f(sound, rows["source"]),
        "log_mel": log_mel_distance(sound, rows["true"]),
        "chroma_true": chroma_similarity(sound, rows["true"]),
        "tempo": tempo_delta_bpm(sound, rows["source"]),
    }


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """row -> figure -> mean and error, of the figures that were measured."""
    rows = [row for row in ROWS if results and row in results[0]["rows"]]
    measured = [
        figure for figure in FIGURES if any(figure in item["rows"]["stem"] for item in results)
    ]
    return {row: figure_means(measured, [item["rows"][row] for item in results]) for row in rows}


def per_target(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """target -> how often it was asked for and heard, and which names were heard instead."""
    found: dict[str, dict[str, Any]] = {}
    for item in results:
        heard, target = item["heard"], item["pair"]["target"]
        entry = found.setdefault(target, {"asked": 0, "heard": 0, "instead": []})
        entry["asked"] += 1
        entry["heard"] += heard == target
        entry["instead"] += [heard] if heard != target else []
    return dict(sorted(found.items()))
