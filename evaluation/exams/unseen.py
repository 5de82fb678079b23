"""Scores that training never met, played by a soundfont that it never met: figures beside their
ceilings.

source (timgm) --model, words--> stem      compared with the source and with the true rendering
same score     --target, timgm-> true      what a perfect model would play
true           --codec---------> codec     what a perfect transformer in front of our decoder would play
same score     --target, fluid-> other     a true rendering on another instrument of the kind
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from evaluation.methods.subject import RATE_HZ, Subject
from evaluation.metrics.judge import Judge
from evaluation.metrics.similarity import (
    Sound,
    chroma_similarity,
    log_mel_distance,
    onset_f,
    raw_chroma_accuracy,
    tempo_delta_bpm,
)

ROWS = {
    "stem": "stem",
    "true": "true rendering",
    "other": "true, other soundfont",
    "codec": "true, through codec",
    "source": "source unchanged",
}
FIGURES = {  # name -> (heading, unit of comparison)
    "accuracy": "(a) accuracy",
    "chroma": "(b) chroma",
    "onset_f": "(c) onset F",
    "log_mel": "(d) log-mel",
    "chroma_true": "chroma to true",
    "tempo": "tempo BPM",
    "melody": "(f) melody",
}
# (f) is asked only of sources whose own pass through the codec keeps it above this
MELODY_KEPT_BY_CODEC = 0.8
QUIETEST_PEAK = 1e-3  # a soundfont may lack the notes of a score: such a pair is passed over
OTHER_SOUNDFONT = "fluid"


@dataclass(frozen=True)
class Pair:
    """One score, the program that plays it, the sound that is asked for, and in which words."""

    score_seed: int
    source_program: int
    target: str
    target_program: int
    text: str


def make_pairs(count: int, seed: int, held_out_words: bool = False) -> list[Pair]:
    """`count` pairs, the same for the same seed; targets come round in turn, so all are asked
    equally often.

    `held_out_words`: ask with words that training never said, for the sounds that have some.
    """
    from evaluation.corpus.instruments import INSTRUMENTS, SOURCE_ONLY_PROGRAMS, TEMPLATES
    from evaluation.corpus.scores import TEST_SEEDS

    random = np.random.default_rng([0xE7A1, seed])
    targets = [
        instrument for instrument in INSTRUMENTS if instrument.held_out_words or not held_out_words
    ]
    programs = [instrument.program for instrument in INSTRUMENTS] + list(SOURCE_ONLY_PROGRAMS)
    order, pairs = [], []
    for index in range(count):
        order = order or [int(i) for i in random.permutation(len(targets))]
        target = targets[order.pop()]
        words = target.held_out_words if held_out_words else target.words
        others = [program for program in programs if program != target.program]
        pairs.append(
            Pair(
                TEST_SEEDS[(seed * 10_000 + index) % len(TEST_SEEDS)],
                int(random.choice(others)),
                target.name,
                target.program,
                str(random.choice(TEMPLATES)).format(random.choice(words)),
            )
        )
    return pairs


class Stage:
    """Plays pairs with real soundfonts; raises FileNotFoundError naming the package of a missing
    one.
    """

    def __init__(self) -> None:
        from evaluation.corpus.render import UNSEEN_SOUNDFONT, Renderer, find_soundfont

        self.soundfont = UNSEEN_SOUNDFONT
        self._unseen = Renderer(find_soundfont(UNSEEN_SOUNDFONT))
        self._other = _optional(lambda: Renderer(find_soundfont(OTHER_SOUNDFONT)))

    def play(self, pair: Pair) -> dict[str, Sound] | None:
        """source, true and, where that soundfont is installed, other; None if one of them is
        silent.
        """
        from evaluation.corpus.scores import make_score

        score = make_score(pair.score_seed)
        sounds = {
            "source": self._unseen.render(score, pair.source_program),
            "true": self._unseen.render(score, pair.target_program),
        }
        if self._other:
            sounds["other"] = self._other.render(score, pair.target_program)
        if min(np.abs(samples).max() for samples in sounds.values()) < QUIETEST_PEAK:
            return None
        return {name: Sound(samples, RATE_HZ) for name, samples in sounds.items()}

    def close(self) -> None:
        for renderer in filter(None, (self._unseen, self._other)):
            renderer.close()


def examine_pair(
    subject: Subject,
    judge: Judge,
    pair: Pair,
    sounds: dict[str, Sound],
    knobs: Mapping[str, Any],
    with_melody: bool = False,
) -> dict[str, Any]:
    """Figures of every row for one pair; `with_melody`: (f), too, for seconds more a sound."""
    source = sounds["source"]
    rows = {
        **sounds,
        "stem": subject.stem(source, pair.text, knobs),
        "codec": subject.codec(sounds["true"]),
    }
    figures = {row: _figures(rows[row], rows, judge, pair.target) for row in ROWS if row in rows}
    if with_melody and raw_chroma_accuracy(subject.codec(source), source) > MELODY_KEPT_BY_CODEC:
        for row, entry in figures.items():
            entry["melody"] = raw_chroma_accuracy(rows[row], source)
    return {"pair": vars(pair), "heard": judge.name(rows["stem"]), "rows": figures}


def stem_figures(
    subject: Subject, judge: Judge, pair: Pair, sounds: dict[str, Sound], knobs: Mapping[str, Any]
) -> dict[str, float]:
    """Figures of the stem alone, for sweeps over knobs."""
    return _figures(subject.stem(sounds["source"], pair.text, knobs), sounds, judge, pair.target)


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


def played(
    stage: Stage, count: int, seed: int, held_out_words: bool = False
) -> list[tuple[Pair, dict[str, Sound]]]:
    """`count` pairs that can be heard, with their sounds; silent ones are replaced by the next."""
    heard = ((pair, stage.play(pair)) for pair in make_pairs(2 * count + 8, seed, held_out_words))
    return list(islice(((pair, sounds) for pair, sounds in heard if sounds is not None), count))


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """row -> figure -> {mean, error}, of the figures that were asked for; `error` is the standard
    error of the mean.
    """
    rows = [row for row in ROWS if results and row in results[0]["rows"]]
    asked = [
        figure for figure in FIGURES if any(figure in item["rows"]["stem"] for item in results)
    ]
    return {
        row: {
            figure: mean_and_error([item["rows"][row].get(figure, np.nan) for item in results])
            for figure in asked
        }
        for row in rows
    }


def per_target(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """target -> how often it was asked for, heard, and what was heard instead."""
    found: dict[str, dict[str, Any]] = {}
    for item in results:
        entry = found.setdefault(item["pair"]["target"], {"asked": 0, "heard": 0, "instead": []})
        entry["asked"] += 1
        entry["heard"] += item["heard"] == item["pair"]["target"]
        entry["instead"] += [item["heard"]] if item["heard"] != item["pair"]["target"] else []
    return dict(sorted(found.items()))


def mean_and_error(values: list[float]) -> dict[str, float]:
    """nan values (a figure that a sound does not have) do not count."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return {"mean": float("nan"), "error": float("nan")}
    return {"mean": float(known.mean()), "error": float(known.std() / np.sqrt(len(known)))}


def _optional(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except FileNotFoundError:
        return None
