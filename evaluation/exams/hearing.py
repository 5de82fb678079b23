"""Is the region heard rightly?

The arranger's pieces, whose beats, bars, key and chords are known, heard again.

    python -m evaluation.exams.hearing --count 20            a table: mix, chords alone, tune alone; 5, 10 and 30 seconds
    python -m evaluation.exams.hearing --count 20 --librosa  librosa's beat tracker beside ours
    python -m evaluation.exams.hearing --fit 100             learn engine/hearing/learned.json

Figures are on unseen seeds and the unseen soundfont. F of beats and bar lines as
mir_eval.beat.f_measure's definition; the key's weighted score as in MIREX (fifth 0.5, relative 0.3,
parallel 0.2).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.arranging.compose import Arrangement, compose, cut_grid
from engine.arranging.genres import GENRES
from engine.arranging.parts import write
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing import bars, beats, harmony, learned, pitches, tempo
from engine.hearing.learned import LearnedTables
from engine.hearing.listen import hear
from engine.hearing.music import MODES, Grid, Key

SECONDS = 30.0
CUTS = ((5.0, 0.0), (10.0, 6.0), (30.0, 0.0))  # length, start
PROGRAMS = {  # General MIDI: whoever may play a role
    "tune": (0, 4, 11, 24, 40, 56, 65, 66, 68, 71, 73, 75),
    "bass": (32, 33, 34, 35, 38, 39, 43),
    "chords": (0, 2, 4, 5, 16, 24, 25, 26, 27),
    "pad": (48, 50, 52, 89, 90),
    "counter": (40, 42, 60, 71),
    "arpeggio": (0, 8, 11, 24, 46),
    "drums": (0,),
}
LEVELS = {"tune": 0.08, "bass": 0.07, "chords": 0.05, "drums": 0.06}  # RMS in the mix; others 0.03
GUESTS = ("pad", "counter", "arpeggio")
GUEST_CHANCE = 0.3
DRUM_BANK = 128
KINDS = ("mix", "chords", "tune")
MINOR_MODES = tuple(mode for mode, steps in MODES.items() if steps[2] == 3)
SAME_BEAT_SECONDS = 0.06
STEPS, RATE = 200, 0.04
# shares of notes, of the bass
KEY_SCALE = np.repeat((6.0, 3.0), 12)
HEADINGS = {
    "f50": "beat F ±50 ms",
    "f70": "±70 ms",
    "tempo_1": "tempo ±1 BPM",
    "tempo_4": "±4 %",
    "octave": "±4 % of a half, double, 2/3, 3/2",
    "bar_f": "bar F ±70 ms",
    "key": "key",
    "mirex": "MIREX",
    "scale": "scale",
    "root": "chord root",
    "tone": "root in true chord",
    "in_key": "root in true key",
    "bass_key": "bass in true key",
    "bass_pulse": "bass on true half beats",
}
OF_THE_BEAT = ("f50", "f70", "tempo_1", "tempo_4", "octave")


class Excerpt(NamedTuple):
    arrangement: Arrangement
    kind: str
    seconds: float
    truth: Grid
    mono: np.ndarray


def excerpts(seeds: range, soundfont: str) -> Iterator[Excerpt]:
    """Each seed's piece as mix, chords alone and tune alone, cut to each of CUTS; silent ones are
    passed over.
    """
    from evaluation.corpus.render import Renderer, find_soundfont

    renderer = Renderer(find_soundfont(soundfont))
    for seed in seeds:
        arrangement = compose(seed, SECONDS)
        stems = _stems(arrangement, renderer, np.random.default_rng([0x4EA2, seed]))
        for kind in KINDS:
            whole = (
                sum(stems.values()) if kind == "mix" else stems.get(kind, np.zeros(1, np.float32))
            )
            for seconds, start in CUTS:
                mono = whole[
                    round(start * SAMPLE_RATE_HZ) : round((start + seconds) * SAMPLE_RATE_HZ)
                ]
                if len(mono) and np.abs(mono).max() > 1e-3:
                    yield Excerpt(
                        arrangement, kind, seconds, cut_grid(arrangement.grid, start, seconds), mono
                    )
    renderer.close()


def _stems(
    arrangement: Arrangement, renderer, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """role -> float32 [samples] at its level in the mix."""
    from evaluation.corpus.scores import Score

    guests = [role for role in GUESTS if random.random() < GUEST_CHANCE]
    stems = {}
    for role in ("tune", "bass", "chords", "drums", *guests):
        notes = arrangement.tune if role == "tune" else arrangement.parts.get(role, ())
        program, level_db = int(random.choice(PROGRAMS[role])), random.uniform(-3, 3)
        if not notes:
            continue
        score = Score.plain(notes, SECONDS, arrangement.grid.tempo_bpm)
        sound = renderer.render(score, program, DRUM_BANK if role == "drums" else 0)
        level = LEVELS.get(role, 0.03) * 10 ** (level_db / 20)
        stems[role] = sound * np.float32(level / max(float(np.sqrt(np.mean(sound**2))), 1e-6))
    return stems


def beat_f(true: np.ndarray, heard: np.ndarray, within: float) -> float:
    import mir_eval

    return float(mir_eval.beat.f_measure(true, heard, within)) if len(true) and len(heard) else 0.0


def figures(truth: Grid, heard: Grid) -> dict[str, float]:
    """All of HEADINGS for one excerpt."""
    beats_true, beats_heard = (
        _inside(truth, truth.beats_seconds),
        _inside(truth, heard.beats_seconds),
    )
    ratio = heard.tempo_bpm / truth.tempo_bpm
    return {
        "f50": beat_f(beats_true, beats_heard, 0.05),
        "f70": beat_f(beats_true, beats_heard, 0.07),
        "tempo_1": float(abs(heard.tempo_bpm - truth.tempo_bpm) < 1),
        "tempo_4": float(abs(ratio - 1) < 0.04),
        "octave": float(min(abs(ratio / k - 1) for k in (1 / 2, 2, 2 / 3, 3 / 2)) < 0.04),
        "bar_f": beat_f(_inside(truth, _bar_lines(truth)), _inside(truth, _bar_lines(heard)), 0.07),
        "key": float(key_score(truth.key, heard.key) == 1),
        "mirex": key_score(truth.key, heard.key),
        "scale": len(set(truth.key.pitch_classes) & set(heard.key.pitch_classes)) / 7,
        **_chord_figures(truth, heard),
    }


def key_score(true: Key, heard: Key) -> float:
    """1 the same tonic and kind of third, 0.5 a fifth away, 0.3 the relative key, 0.2 the parallel
    one, else 0.
    """
    away, minor = (heard.tonic - true.tonic) % 12, true.mode in MINOR_MODES
    if minor != (heard.mode in MINOR_MODES):
        return 0.2 if away == 0 else 0.3 if away == (3 if minor else 9) else 0.0
    return {0: 1.0, 5: 0.5, 7: 0.5}.get(away, 0.0)


def _chord_figures(truth: Grid, heard: Grid) -> dict[str, float]:
    """Shares of the true beats."""
    rows = []
    for middle, chord in zip(
        (truth.beats_seconds[:-1] + truth.beats_seconds[1:]) / 2, truth.chords, strict=True
    ):
        index = int(np.searchsorted(heard.beats_seconds, middle)) - 1
        if chord is None or not 0 <= middle < truth.seconds or not 0 <= index < len(heard.chords):
            continue
        root = heard.chords[index].root if heard.chords[index] else -1
        rows.append(
            (root == chord.root, root in chord.pitch_classes, root in truth.key.pitch_classes)
        )
    means = np.mean(rows, axis=0) if rows else (np.nan,) * 3
    return dict(zip(("root", "tone", "in_key"), map(float, means), strict=True))


def bass_figures(excerpt: Excerpt, heard: Grid) -> dict[str, float]:
    """A bass line that the arranger writes on a grid: shares of its notes in the true key, and of
    its onsets within 50 ms of a true half beat.
    """
    line = write("bass", heard, GENRES[excerpt.arrangement.genre], np.random.default_rng(0))
    if not line:
        return {}
    times = excerpt.truth.beats_seconds
    halves = np.interp(np.arange(0, len(times) - 0.99, 0.5), np.arange(len(times)), times)
    onsets = np.unique([note.start_seconds for note in line])
    return {
        "bass_key": float(
            np.mean([note.pitch_midi % 12 in excerpt.truth.key.pitch_classes for note in line])
        ),
        "bass_pulse": float(np.mean(np.abs(onsets[:, None] - halves).min(axis=1) < 0.05)),
    }


def _inside(truth: Grid, times: np.ndarray) -> np.ndarray:
    return times[(times >= 0) & (times < truth.seconds)]


def _bar_lines(grid: Grid) -> np.ndarray:
    return grid.beats_seconds[grid.first_bar % grid.beats_per_bar :: grid.beats_per_bar]


def librosa_figures(excerpt: Excerpt) -> dict[str, float]:
    """librosa.beat.beat_track's defaults."""
    import librosa

    mono = librosa.resample(excerpt.mono, orig_sr=SAMPLE_RATE_HZ, target_sr=22_050)
    found = librosa.beat.beat_track(y=mono, sr=22_050, units="time")[1]
    if len(found) < 2:
        return dict.fromkeys(OF_THE_BEAT, 0.0)
    covering = beats.covering(found, float(np.median(np.diff(found))), excerpt.seconds)
    empty = (None,) * (len(covering) - 1)
    measured = figures(excerpt.truth, Grid(excerpt.seconds, covering, 0, 4, empty, Key(0, "major")))
    return {name: measured[name] for name in OF_THE_BEAT}


def table(seeds: range, soundfont: str, with_librosa: bool) -> str:
    """Markdown: means over the seeds, a row for each length and kind."""
    found: dict[tuple[float, str, str], list[dict[str, float]]] = {}
    for excerpt in excerpts(seeds, soundfont):
        place = (excerpt.seconds, excerpt.kind)
        grids = {"ours": hear(excerpt.mono, SAMPLE_RATE_HZ).grid, "the truth": excerpt.truth}
        for who, grid in grids.items():
            measured = {**figures(excerpt.truth, grid), **bass_figures(excerpt, grid)}
            found.setdefault((*place, who), []).append(measured)
        if with_librosa:
            found.setdefault((*place, "librosa"), []).append(librosa_figures(excerpt))
    lines = [
        "| region | heard by | n | " + " | ".join(HEADINGS.values()) + " |",
        "|---|---|---|" + "---|" * len(HEADINGS),
    ]
    for (seconds, kind, who), rows in sorted(
        found.items(), key=lambda item: (item[0][0], KINDS.index(item[0][1]))
    ):
        known = [[row[name] for row in rows if name in row] for name in HEADINGS]
        cells = [f"{np.nanmean(values):.2f}" if values else "" for values in known]
        lines.append(
            f"| {seconds:.0f} s {kind} | {who} | {len(rows)} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def learn(seeds: range, soundfont: str) -> LearnedTables:
    """The tables of hearing, by maximum likelihood over these pieces."""
    groups, bar_targets, key_rows, key_targets = [], [], [], []
    modes = tuple(learned.tables().keys)
    for excerpt in excerpts(seeds, soundfont):
        strength = tempo.band_onset_strength(excerpt.mono, SAMPLE_RATE_HZ)
        overall = tempo.above_local_mean(strength.mean(axis=1))
        found = beats.find_beats(overall, excerpt.seconds)
        notes = pitches.find_pitches(excerpt.mono, SAMPLE_RATE_HZ)
        onsets = bars.Onsets(strength, notes, excerpt.seconds)
        tried = list(bars.metrical_hypotheses(found.seconds, onsets))
        target = _true_hypothesis(tried, excerpt.truth)
        if target is not None:
            groups.append(np.concatenate([_place_features(one, found.scores) for one in tried]))
            bar_targets.append(target)
        if excerpt.truth.key.mode in modes:
            shares = harmony.key_features(harmony.beat_chroma(notes, excerpt.truth.beats_seconds))
            key_rows.append(_key_rows(shares, modes))
            key_targets.append(modes.index(excerpt.truth.key.mode) * 12 + excerpt.truth.key.tonic)
    weights = _most_likely(groups, bar_targets, _bar_prior(), 0.02).astype(float).round(2)
    size = len(bars.FEATURES)
    metres = np.split(weights[: 14 * size].reshape(14, size), [8])
    profiles = (
        _most_likely(key_rows, key_targets, np.zeros(key_rows[0].shape[1]), 0.001)
        * np.tile(KEY_SCALE, len(modes))
    ).round(1)
    return LearnedTables(
        dict(zip(bars.METRES, metres, strict=True)),
        weights[14 * size :],
        dict(zip(modes, profiles.reshape(len(modes), 2, 12), strict=True)),
    )


def _true_hypothesis(read: list[bars.MetricalHypothesis], truth: Grid) -> int | None:
    """The place of the right one, among all hypotheses with all their first half beats."""
    metre = 3 if truth.beats_per_bar == 6 else truth.beats_per_bar
    lines = truth.beats_seconds[truth.first_bar % metre :: metre]
    if not len(lines):
        return None
    errors = []
    for hypothesis in read:
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
    return np.hstack([np.pad(own, ((0, 0), (before, after))), features[:, own.shape[1] :]]).astype(
        np.float32
    )


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
    """[modes * 12, modes * 24]: the shares from each tonic up, where the mode's profile stands."""
    scaled = shares * np.array([[KEY_SCALE[0]], [KEY_SCALE[12]]])
    turned = np.stack([np.roll(scaled, -tonic, axis=1).ravel() for tonic in range(12)])
    return np.kron(np.eye(len(modes)), turned).astype(np.float32)


def _most_likely(
    groups: list[np.ndarray], targets: list[int], prior: np.ndarray, pull: float
) -> np.ndarray:
    """Weights under which the target row of each group stands out (softmax, Adam), pulled towards
    `prior`.
    """
    rows, sizes = np.concatenate(groups), [len(group) for group in groups]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner, right = np.repeat(np.arange(len(sizes)), sizes), starts + np.array(targets)
    weights, slope, square = prior.astype(np.float32), 0.0, 0.0
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


def main() -> None:
    from evaluation.corpus.render import TRAINING_SOUNDFONTS, UNSEEN_SOUNDFONT
    from evaluation.corpus.scores import JUDGE_SEEDS, TEST_SEEDS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20, help="pieces to hear (default 20)")
    parser.add_argument("--librosa", action="store_true", help="librosa's beat tracker, too")
    parser.add_argument(
        "--fit",
        type=int,
        metavar="PIECES",
        help="learn the tables from so many pieces, and write them",
    )
    options = parser.parse_args()
    if options.fit:
        learned.write(learn(JUDGE_SEEDS[: options.fit], TRAINING_SOUNDFONTS[0]))
        print(f"written: {learned.PATH}")
    else:
        print(table(TEST_SEEDS[: options.count], UNSEEN_SOUNDFONT, options.librosa))


if __name__ == "__main__":
    main()
