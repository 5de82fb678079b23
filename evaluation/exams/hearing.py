"""Judge the arranger's ear: does it find beats, bars, key and chords that are known?

    python -m evaluation.exams.hearing --count 20            mix, chords and tune; 5, 10 and 30 s
    python -m evaluation.exams.hearing --count 20 --librosa  librosa's beat tracker beside ours
    python -m evaluation.exams.hearing --fit 100             learn engine/hearing/learned.json

The pieces have unseen seeds, the soundfont is unseen. F of beats and bar lines as in
mir_eval.beat.f_measure; the key's weighted score as in MIREX (fifth 0.5, relative 0.3, parallel
0.2). Figures: docs/hearing.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from engine.arranging.genres import GENRES
from engine.arranging.parts import write
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing import beats, learned
from engine.hearing.listen import hear
from engine.hearing.music import MODES, Grid, Key
from evaluation.corpus.excerpts import KINDS, Excerpt, render_excerpts
from evaluation.corpus.render import TRAINING_SOUNDFONTS, UNSEEN_SOUNDFONT
from evaluation.corpus.scores import JUDGE_SEEDS, TEST_SEEDS
from evaluation.exams.hearing_fit import learn_tables
from evaluation.reporting.command import make_parser, option
from evaluation.reporting.page import markdown_table

MINOR_MODES = tuple(mode for mode, steps in MODES.items() if steps[2] == 3)
LIBROSA_RATE_HZ = 22_050
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


OPTIONS = (
    option("--count", "pieces to hear (default 20)", type=int, default=20),
    option("--librosa", "librosa's beat tracker, too", action="store_true"),
    option(
        "--fit", "learn the tables from so many pieces, and write them", type=int, metavar="PIECES"
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    prog = "python -m evaluation.exams.hearing"
    options = make_parser(prog, __doc__, OPTIONS).parse_args(argv)
    if options.fit:
        learned.write(learn_tables(JUDGE_SEEDS[: options.fit], TRAINING_SOUNDFONTS[0]))
        print(f"written: {learned.PATH}")
    else:
        print(table(TEST_SEEDS[: options.count], UNSEEN_SOUNDFONT, options.librosa))
    return 0


def table(seeds: Iterable[int], soundfont: str, with_librosa: bool) -> str:
    """Markdown: means over the seeds, a row for each length and kind."""
    found: dict[tuple[float, str, str], list[dict[str, float]]] = {}
    for excerpt in render_excerpts(seeds, soundfont):
        ours = hear(excerpt.mono, SAMPLE_RATE_HZ).grid
        rows = {
            name: {**figures(excerpt.truth, grid), **bass_figures(excerpt, grid)}
            for name, grid in (("ours", ours), ("the truth", excerpt.truth))
        }
        if with_librosa:
            rows["librosa"] = librosa_figures(excerpt)
        for name, row in rows.items():
            found.setdefault((excerpt.seconds, excerpt.kind, name), []).append(row)
    cells = []
    for (seconds, kind, name), own in sorted(
        found.items(), key=lambda item: (item[0][0], KINDS.index(item[0][1]))
    ):
        known = [[row[figure] for row in own if figure in row] for figure in HEADINGS]
        means = (f"{np.nanmean(values):.2f}" if values else "" for values in known)
        cells.append([f"{seconds:.0f} s {kind}", name, str(len(own)), *means])
    return markdown_table(["region", "heard by", "n", *HEADINGS.values()], cells)


def beat_f(true: np.ndarray, heard: np.ndarray, within: float) -> float:
    """F of two sets of times in seconds that match if they lie `within` seconds of each other."""
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
    """1 for the same tonic and third, 0.5 a fifth away, 0.3 relative, 0.2 parallel, else 0."""
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
        chord_heard = heard.chords[index]
        root = chord_heard.root if chord_heard else -1
        rows.append(
            (root == chord.root, root in chord.pitch_classes, root in truth.key.pitch_classes)
        )
    means = np.mean(rows, axis=0) if rows else (np.nan,) * 3
    return dict(zip(("root", "tone", "in_key"), map(float, means), strict=True))


def bass_figures(excerpt: Excerpt, heard: Grid) -> dict[str, float]:
    """How well does a bass line fit that the arranger writes on the grid it heard?

    Shares of its notes in the true key, and of its onsets within 50 ms of a true half beat.
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
    from librosa.beat import beat_track

    mono = librosa.resample(excerpt.mono, orig_sr=SAMPLE_RATE_HZ, target_sr=LIBROSA_RATE_HZ)
    found = beat_track(y=mono, sr=LIBROSA_RATE_HZ, units="time")[1]
    if len(found) < 2:
        return dict.fromkeys(OF_THE_BEAT, 0.0)
    covering = beats.covering(found, float(np.median(np.diff(found))), excerpt.seconds)
    empty = (None,) * (len(covering) - 1)
    measured = figures(excerpt.truth, Grid(excerpt.seconds, covering, 0, 4, empty, Key(0, "major")))
    return {name: measured[name] for name in OF_THE_BEAT}


if __name__ == "__main__":
    sys.exit(main())
