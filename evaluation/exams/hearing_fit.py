"""How are the tables of engine/hearing learned? By maximum likelihood over arranged pieces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing import bars, beats, harmony, learned, pitches, tempo
from engine.hearing.learned import LearnedTables
from engine.hearing.music import Grid
from evaluation.corpus.excerpts import render_excerpts

SAME_BEAT_SECONDS = 0.06
STEPS, RATE = 200, 0.04
KEY_SCALE = np.repeat((6.0, 3.0), 12)  # shares of notes, of the bass


def learn_tables(seeds: Iterable[int], soundfont: str) -> LearnedTables:
    """The tables, learned from the pieces of these seeds."""
    bar_rows: list[np.ndarray] = []
    key_rows: list[np.ndarray] = []
    bar_targets: list[int] = []
    key_targets: list[int] = []
    modes = tuple(learned.tables().keys)
    for excerpt in render_excerpts(seeds, soundfont):
        strength = tempo.band_onset_strength(excerpt.mono, SAMPLE_RATE_HZ)
        overall = tempo.above_local_mean(strength.mean(axis=1))
        found = beats.find_beats(overall, excerpt.seconds)
        notes = pitches.find_pitches(excerpt.mono, SAMPLE_RATE_HZ)
        onsets = bars.Onsets(strength, notes, excerpt.seconds)
        hypotheses = list(bars.metrical_hypotheses(found.seconds, onsets))
        target = _find_target(hypotheses, excerpt.truth)
        if target is not None:
            rows = [_place_features(one, found.scores) for one in hypotheses]
            bar_rows.append(np.concatenate(rows))
            bar_targets.append(target)
        if excerpt.truth.key.mode in modes:
            shares = harmony.key_features(harmony.beat_chroma(notes, excerpt.truth.beats_seconds))
            key_rows.append(_key_rows(shares, modes))
            key_targets.append(modes.index(excerpt.truth.key.mode) * 12 + excerpt.truth.key.tonic)
    weights = _maximise_likelihood(bar_rows, bar_targets, _bar_prior(), 0.02)
    weights = weights.astype(float).round(2)
    size = len(bars.FEATURES)
    metres = np.split(weights[: 14 * size].reshape(14, size), [8])
    prior = np.zeros(key_rows[0].shape[1])
    profiles = _maximise_likelihood(key_rows, key_targets, prior, 0.001)
    profiles = (profiles * np.tile(KEY_SCALE, len(modes))).round(1)
    return LearnedTables(
        dict(zip(bars.METRES, metres, strict=True)),
        weights[14 * size :],
        dict(zip(modes, profiles.reshape(len(modes), 2, 12), strict=True)),
    )


def _find_target(hypotheses: list[bars.MetricalHypothesis], truth: Grid) -> int | None:
    """Which of all hypotheses, with all their first half beats, is right; None if none is."""
    metre = 3 if truth.beats_per_bar == 6 else truth.beats_per_bar
    lines = truth.beats_seconds[truth.first_bar % metre :: metre]
    if not len(lines):
        return None
    errors = []
    for hypothesis in hypotheses:
        right = (
            hypothesis.beats_per_bar == metre
            and abs(hypothesis.period_seconds * truth.tempo_bpm / 60 - 1) < 0.06
        )
        for first in range(2 * hypothesis.beats_per_bar):
            times = hypothesis.halves_seconds[first :: 2 * metre] if right else np.zeros(0)
            errors.append(
                np.abs(times[:, None] - lines).min(axis=1).mean() if len(times) else np.inf
            )
    best = int(np.argmin(errors))
    return best if errors[best] < SAME_BEAT_SECONDS else None


def _place_features(hypothesis: bars.MetricalHypothesis, scores: np.ndarray) -> np.ndarray:
    """The features of a hypothesis in the columns of its metre: four, three, general."""
    four, three = 8 * len(bars.FEATURES), 6 * len(bars.FEATURES)
    features = bars.features(hypothesis, scores)
    before, after = (0, three) if hypothesis.beats_per_bar == 4 else (four, 0)
    own = features[:, : four + three - before - after]
    padded = np.pad(own, ((0, 0), (before, after)))
    return np.hstack([padded, features[:, own.shape[1] :]]).astype(np.float32)


def _bar_prior() -> np.ndarray:
    """For what the music does not say: onsets and notes fall on beats rather than between them."""
    rows = np.zeros((14, len(bars.FEATURES)))
    for name, weight in (("onset", 0.4), ("notes", 0.2)):
        column = bars.FEATURES.index(name)
        rows[::2, column], rows[1::2, column] = weight, -weight
    general = np.zeros(len(bars.GENERAL_FEATURES))
    general[-1] = learned.tables().bars_general[-1]
    return np.concatenate([rows.ravel(), general])


def _key_rows(shares: np.ndarray, modes: tuple[str, ...]) -> np.ndarray:
    """[modes * 12, modes * 24]: the shares from each tonic up, in the columns of each mode."""
    scaled = shares * np.array([[KEY_SCALE[0]], [KEY_SCALE[12]]])
    turned = np.stack([np.roll(scaled, -tonic, axis=1).ravel() for tonic in range(12)])
    return np.kron(np.eye(len(modes)), turned).astype(np.float32)


def _maximise_likelihood(
    groups: list[np.ndarray], targets: list[int], prior: np.ndarray, pull: float
) -> np.ndarray:
    """Weights that make the target row of each group likely (softmax, Adam), near `prior`."""
    rows, sizes = np.concatenate(groups), [len(group) for group in groups]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner, right = np.repeat(np.arange(len(sizes)), sizes), starts + np.array(targets)
    weights = prior.astype(np.float32)
    slope, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(STEPS):
        scores = rows @ weights
        chances = np.exp(scores - np.maximum.reduceat(scores, starts)[owner])
        chances /= np.add.reduceat(chances, starts)[owner]
        chances[right] -= 1
        gradient = rows.T @ chances / len(sizes) + pull * (weights - prior)
        slope, square = 0.9 * slope + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        size = RATE * (1 - step / STEPS) / (1 - 0.9 ** (step + 1))
        weights = weights - size * slope / (np.sqrt(square / (1 - 0.99 ** (step + 1))) + 1e-9)
    return weights
