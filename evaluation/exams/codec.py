"""Judge the codec alone: what is lost before any network changes a note?

    python -m evaluation.exams.codec --recordings DIR

Writes the tables between the marks of docs/codec.md, and its picture. Needs FluidSynth, TimGM6mb
and the train extra.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.arranging.genres import GENRES
from engine.hearing.music import Note
from evaluation.corpus.arrangements import PartRenderer, render_drum_loop
from evaluation.corpus.instruments import INSTRUMENTS
from evaluation.corpus.recordings import read_recordings
from evaluation.corpus.render import UNSEEN_SOUNDFONT, Renderer, find_soundfont
from evaluation.corpus.scores import TEST_SEEDS, make_score
from evaluation.methods.models import Model, Nano
from evaluation.metrics.means import figure_means
from evaluation.metrics.similarity import chroma_similarity, log_mel_distance, onset_f
from evaluation.metrics.sound import Sound
from evaluation.metrics.spectra import (
    RATE_HZ,
    between_partials_db,
    high_band_db,
    rise_ms,
    stft_distance,
)
from evaluation.reporting.command import ignore_librosa_warnings, make_parser, option
from evaluation.reporting.page import markdown_table, replace_block, save_picture
from evaluation.reporting.tables import format_mean

SECONDS = 5.12
QUIETEST_PEAK = 1e-3
KINDS = {
    "unseen": "instruments, unseen soundfont",
    "drums": "drum loops, unseen soundfont",
    "recorded": "real recordings",
}
WAYS = {"codec": "the codec", "low_pass": "all above 8 kHz cut away"}
FIGURES = {  # name -> (heading, digits)
    "log_mel": ("log-mel", 3),
    "convergence": ("STFT convergence", 3),
    "log_magnitude": ("STFT log-magnitude", 3),
    "high_db": ("8 to 16 kHz, dB", 1),
    "chroma": ("chroma", 3),
    "onset_f": ("onset F", 3),
    "rise_ms": ("attacks, ms", 1),
    "rise_ms_original": ("of the original", 1),
}
# fmt: off
SUSTAINING = (
    "accordion", "violin", "cello", "string ensemble", "choir",
    "trumpet", "oboe", "clarinet", "flute", "pan flute",
)
# fmt: on
LONG_NOTE_PITCHES_MIDI = (55, 64, 72)
LONG_NOTE_SECONDS = (1.0, 4.0)  # what is measured of it: after its attack, before its end
FIRST_SCORE, FIRST_LOOP = 96_000, 97_000  # places in the seeds of tests
OPTIONS = (
    option("--recordings", "also these real recordings", type=Path, metavar="DIR"),
    option("--count", "of instruments and of loops at most", type=int, default=37),
    option("--page", type=Path, default=Path("docs/codec.md")),
)


def main(argv: Sequence[str] | None = None, model: Model | None = None) -> int:
    prog = "python -m evaluation.exams.codec"
    options = make_parser(prog, __doc__, OPTIONS).parse_args(argv)
    ignore_librosa_warnings()
    model = model or Nano()
    sounds = list(find_sounds(options.recordings, options.count))
    text = markdown(examine(model, sounds))
    print(text)
    replace_block(options.page, "codec", text)
    replace_block(options.page, "held", partials_table(model, options.count))
    by_kind = {kind: (name, sound) for kind, name, sound in reversed(sounds)}
    shown = {
        f"{KINDS[kind]}: {by_kind[kind][0]}": by_kind[kind][1] for kind in KINDS if kind in by_kind
    }
    draw_picture(options.page.parent / "pictures" / "codec.png", model, shown)
    return 0


def find_sounds(recordings: Path | None, count: int) -> Iterator[tuple[str, str, Sound]]:
    """(kind, name, sound): each target instrument, a drum loop of each genre, each recording."""
    renderer = Renderer(find_soundfont(UNSEEN_SOUNDFONT))
    for index, instrument in enumerate(INSTRUMENTS[:count]):
        score = make_score(TEST_SEEDS[FIRST_SCORE + index], SECONDS)
        samples = renderer.render(score, instrument.program)
        if np.abs(samples).max() > QUIETEST_PEAK:
            yield "unseen", instrument.name, Sound(samples, RATE_HZ)
    renderer.close()
    parts = PartRenderer(UNSEEN_SOUNDFONT)
    for index, genre in enumerate(list(GENRES)[:count]):
        loop = render_drum_loop(parts, TEST_SEEDS[FIRST_LOOP + index], genre, SECONDS)
        yield "drums", genre, Sound(loop, RATE_HZ)
    parts.close()
    if recordings:
        for name, sound in read_recordings(recordings):
            yield "recorded", name, Sound(sound.samples[: int(SECONDS * RATE_HZ)], RATE_HZ)


def figures(copy: Sound, original: Sound) -> dict[str, float]:
    """Definitions: evaluation.metrics.similarity, evaluation.metrics.spectra."""
    return {
        "log_mel": log_mel_distance(copy, original),
        **stft_distance(copy, original),
        "high_db": high_band_db(copy, original),
        "chroma": chroma_similarity(copy, original),
        "onset_f": onset_f(copy, original),
        "rise_ms": rise_ms(copy, original.onsets_seconds),
        "rise_ms_original": rise_ms(original, original.onsets_seconds),
    }


def render_long_notes(count: int) -> Iterator[tuple[str, float, Sound]]:
    """(instrument, Hz, one long note) of the first `count` instruments that can sustain one."""
    renderer = PartRenderer(UNSEEN_SOUNDFONT)
    for name, pitch in itertools.product(SUSTAINING[:count], LONG_NOTE_PITCHES_MIDI):
        samples = renderer.render([Note(0.3, LONG_NOTE_SECONDS[1], pitch, 90)], name, SECONDS)
        yield name, 440 * 2 ** ((pitch - 69) / 12), Sound(samples, RATE_HZ)
    renderer.close()


def partials_table(model: Model, count: int) -> str:
    """What lies between the partials of long notes: each instrument's mean, original and codec."""
    rows: dict[str, list[list[float]]] = {}
    for name, hz, sound in render_long_notes(count):
        levels_db = [
            between_partials_db(one, hz, *LONG_NOTE_SECONDS)
            for one in (sound, model.reconstruct(sound))
        ]
        rows.setdefault(name, []).append(levels_db)
    means = {name: np.mean(values, axis=0) for name, values in rows.items()}
    means["all"] = np.mean(list(means.values()), axis=0)
    cells = [[name, *(f"{value:.1f}" for value in values)] for name, values in means.items()]
    return markdown_table(["between partials, dB", "original", "through the codec"], cells)


def cut_highs(sound: Sound) -> Sound:
    """The best that a model at 16 kHz could give back."""
    return Sound(Sound(sound.at(16_000), 16_000).at(RATE_HZ)[: len(sound.samples)], RATE_HZ)


def examine(
    model: Model, sounds: Sequence[tuple[str, str, Sound]]
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """kind -> way -> figures of each sound."""
    from tqdm import tqdm

    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for kind, _, sound in tqdm(sounds, desc="codec", unit="sound"):
        rows = found.setdefault(kind, {way: [] for way in WAYS})
        rows["codec"].append(figures(model.reconstruct(sound), sound))
        rows["low_pass"].append(figures(cut_highs(sound), sound))
    return found


def markdown(found: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> str:
    """The table of docs/codec.md."""
    rows = []
    for kind, ways in found.items():
        for way, results in ways.items():
            means = figure_means(FIGURES, results)
            title = f"{KINDS[kind]} ({len(results)})" if way == "codec" else ""
            cells = (format_mean(means[name], digits) for name, (_, digits) in FIGURES.items())
            rows.append([title, WAYS[way], *cells])
    return markdown_table(["", "", *(heading for heading, _ in FIGURES.values())], rows)


def draw_picture(path: Path, model: Model, sounds: Mapping[str, Sound]) -> None:
    """Originals above, what the codec gives back below; 0 to 16 kHz, 80 dB."""
    from matplotlib.figure import Figure

    from evaluation.reporting.gallery import draw_spectrogram

    figure = Figure(figsize=(4 * len(sounds), 6), layout="constrained")
    axes = figure.subplots(2, len(sounds), sharex=True, sharey=True, squeeze=False)
    for (above, below), (title, sound) in zip(axes.T, sounds.items(), strict=True):
        draw_spectrogram(above, title, sound)
        draw_spectrogram(below, "through the codec", model.reconstruct(sound))
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz")
    save_picture(figure, path)


if __name__ == "__main__":
    sys.exit(main())
