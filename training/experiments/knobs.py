"""One knob at a time: every setting plays the same regions from the same noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.corpus.pairs import PairRenderer, render_pairs
from evaluation.corpus.recordings import read_recordings
from evaluation.methods.models import RATE_HZ, EditingModel
from evaluation.metrics.judge import Judge
from evaluation.metrics.similarity import chroma_similarity, log_mel_distance, onset_f
from evaluation.metrics.sound import Sound
from training.experiments.ledger import Ledger

SECONDS = 5.12  # of a recording: as long as an unseen score
ASKED_OF_RECORDINGS = ("violin", "piano")
STEPS = (1, 2, 3, 4, 8, 16)
MANY_STEPS = "16"
POLISH = "low quality, noise"  # what AP-Adapter's authors put there


class Case(NamedTuple):
    """One region and what is asked of it."""

    source: Sound
    text: str
    target: str
    source_name: str  # what the judge takes the source for
    true: Sound | None = None  # the true rendering, where there is one


class Setting(NamedTuple):
    """`ask` gives the words and the knobs for a case."""

    label: str
    ask: Callable[[Case], tuple[str, Mapping[str, Any]]]


def _knobs(**knobs: Any) -> Callable[[Case], tuple[str, Mapping[str, Any]]]:
    return lambda case: (case.text, knobs)


def _against_source(guidance: float) -> Callable[[Case], tuple[str, Mapping[str, Any]]]:
    """A negative that names what was asked for would be nonsense: then it stays empty."""
    return lambda case: (
        case.text,
        {
            "guidance": guidance,
            "negative": case.source_name if case.source_name != case.target else "",
        },
    )


def _with_words(
    template: str, negative: str = ""
) -> Callable[[Case], tuple[str, Mapping[str, Any]]]:
    return lambda case: (template.format(case.target), {"guidance": 3.0, "negative": negative})


EXPERIMENTS: Mapping[str, Sequence[Setting]] = {
    "pooling": [Setting(str(omega), _knobs(pooling=omega)) for omega in (1, 2, 4, 8)],
    "steps": [Setting(str(steps), _knobs(steps=steps)) for steps in STEPS],
    "negative": [
        Setting("λ 1, no guidance", _knobs(guidance=1.0)),
        *(
            setting
            for guidance in (1.8, 3.0)
            for setting in (
                Setting(f"λ {guidance:g}, empty", _knobs(guidance=guidance)),
                Setting(f"λ {guidance:g}, the source's name", _against_source(guidance)),
                Setting(f"λ {guidance:g}, “{POLISH}”", _knobs(guidance=guidance, negative=POLISH)),
            )
        ),
    ],
    "colour": [
        Setting("“a violin”", _with_words("a {}")),
        Setting("“a bright violin”", _with_words("a bright {}")),
        Setting("“a violin”, negative “dull”", _with_words("a {}", "dull")),
        Setting("“a bright violin”, negative “dull”", _with_words("a bright {}", "dull")),
        Setting("“a bright violin”, negative “bright”", _with_words("a bright {}", "bright")),
    ],
}
WITH_RECORDINGS = ("steps",)
PAIRS = {"pooling": 16, "negative": 12, "colour": 8}  # at most: an hour of one core in all


def unseen_cases(count: int, seed: int, judge: Judge) -> Iterator[Case]:
    """Scores and a soundfont that training never met."""
    renderer = PairRenderer()
    try:
        for pair, sounds in render_pairs(renderer, count, seed):
            yield Case(
                sounds["source"],
                pair.text,
                pair.target,
                judge.name(sounds["source"]),
                sounds["true"],
            )
    finally:
        renderer.close()


def cases_of_recordings(folder: Path, judge: Judge) -> Iterator[Case]:
    """The first 5.12 s of each recording, asked to become two instruments."""
    for _, sound in read_recordings(folder):
        source = Sound(sound.samples[: int(SECONDS * RATE_HZ)], RATE_HZ)
        name = judge.name(source)
        for target in ASKED_OF_RECORDINGS:
            yield Case(source, f"turn this into a {target}", target, name)


def measure(
    experiment: str,
    kind: str,
    cases: Sequence[Case],
    model: EditingModel,
    judge: Judge,
    seed: int,
    ledger: Ledger,
    advance: Callable[[], None],
) -> None:
    """Every case under every setting of one experiment; `kind` says which cases these are."""
    for index, case in enumerate(cases):
        ledger(f"{experiment}/{kind}/{index}", partial(play, experiment, case, model, judge, seed))
        advance()


def play(
    experiment: str, case: Case, model: EditingModel, judge: Judge, seed: int
) -> dict[str, dict[str, float]]:
    """Setting -> figures; `true` are those of the true rendering, the most to be expected."""
    stems = {}
    for setting in EXPERIMENTS[experiment]:
        text, knobs = setting.ask(case)
        stems[setting.label] = model.edit(case.source, text, {"seed": seed, **knobs})
    found = {label: figures(stem, case, judge) for label, stem in stems.items()}
    if experiment == "steps":
        for label, stem in stems.items():
            found[label]["to_many_steps"] = log_mel_distance(stem, stems[MANY_STEPS])
    if case.true:
        found["true"] = figures(case.true, case, judge)
    return found


def figures(stem: Sound, case: Case, judge: Judge) -> dict[str, float]:
    """As `retimbre eval timbre` defines them, and the spectral centroid."""
    found = {
        "accuracy": float(judge.name(stem) == case.target),
        "chroma": chroma_similarity(stem, case.source),
        "onset_f": onset_f(stem, case.source),
        "centroid_hz": centroid_hz(stem),
    }
    return {**found, "log_mel": log_mel_distance(stem, case.true)} if case.true else found


def centroid_hz(sound: Sound) -> float:
    """Where the energy lies on average: the centroid of the whole sound's power spectrum."""
    power = np.abs(np.fft.rfft(sound.at(RATE_HZ))) ** 2
    hz = np.fft.rfftfreq(len(sound.at(RATE_HZ)), 1 / RATE_HZ)
    return float((power * hz).sum() / max(float(power.sum()), 1e-12))


def turnaround(model: EditingModel, repeats: int = 5) -> dict[str, float]:
    """Steps -> least CPU seconds of one thread for a new region of 5 s, of `repeats`."""
    random, found = np.random.default_rng(0), {}
    for steps in STEPS:
        taken = []
        for _ in range(repeats):
            region = Sound(0.1 * random.standard_normal(5 * RATE_HZ).astype(np.float32), RATE_HZ)
            begun = time.process_time()
            model.edit(region, "a violin", {"steps": steps, "seed": 0})
            taken.append(time.process_time() - begun)
        found[str(steps)] = min(taken)
    return found
