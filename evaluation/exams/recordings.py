"""Real recordings asked to become six instruments: there is no true rendering, only the source and
the codec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.exams.unseen import MELODY_KEPT_BY_CODEC, mean_and_error
from evaluation.methods.subject import RATE_HZ, Subject
from evaluation.metrics.judge import Judge
from evaluation.metrics.similarity import Sound, chroma_similarity, onset_f, raw_chroma_accuracy

TARGETS = ("violin", "trumpet", "flute", "piano", "nylon guitar", "church organ")
FIGURES = {
    "accuracy": "(a) accuracy",
    "chroma": "(b) chroma",
    "onset_f": "(c) onset F",
    "melody": "(f) melody",
}
LONGEST_SECONDS = 20.0
SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg")


def read_recordings(folder: Path) -> Iterator[tuple[str, Sound]]:
    """(name, sound): mono, 32 kHz, at most 20 s, in the order of names."""
    import soundfile
    import soxr

    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        with soundfile.SoundFile(path) as file:
            samples = file.read(
                int(LONGEST_SECONDS * file.samplerate), dtype="float32", always_2d=True
            ).mean(axis=1)
            yield path.stem, Sound(soxr.resample(samples, file.samplerate, RATE_HZ), RATE_HZ)


def examine_recording(
    subject: Subject,
    judge: Judge,
    name: str,
    source: Sound,
    knobs: Mapping[str, Any],
    advance: Callable[[], None],
) -> dict[str, Any]:
    """Figures of one source: through the codec, and as each target."""
    codec = subject.codec(source)
    ceiling = _figures(codec, source, "", judge)
    has_melody = ceiling["melody"] > MELODY_KEPT_BY_CODEC
    targets = {}
    for target in TARGETS:
        stem = subject.stem(source, f"turn this into a {target}", knobs)
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
    """`all`, each target, each source and `codec`: figure -> {mean, error}; `lowest_chroma` of all
    stems.
    """

    def over(stems: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
        return {figure: mean_and_error([stem[figure] for stem in stems]) for figure in FIGURES}

    stems = [stem for item in results for stem in item["targets"].values()]
    melodic = [item["codec"]["melody"] for item in results if item["has_melody"]]
    codec = {
        figure: mean_and_error([item["codec"][figure] for item in results])
        for figure in ("chroma", "onset_f")
    }
    return {
        "all": over(stems),
        "by_target": {
            target: over([item["targets"][target] for item in results]) for target in TARGETS
        },
        "by_source": {item["source"]: over(list(item["targets"].values())) for item in results},
        "codec": {**codec, "melody": mean_and_error(melodic)},
        "melodic_sources": [item["source"] for item in results if item["has_melody"]],
        "lowest_chroma": min((stem["chroma"] for stem in stems), default=float("nan")),
    }


def _figures(
    sound: Sound, source: Sound, target: str, judge: Judge, with_melody: bool = True
) -> dict[str, float]:
    return {
        "accuracy": float(judge.name(sound) == target) if target else float("nan"),
        "chroma": chroma_similarity(sound, source),
        "onset_f": onset_f(sound, source),
        "melody": raw_chroma_accuracy(sound, source)
        if with_melody and np.any(source.pitch[1])
        else float("nan"),
    }
