"""The codec alone: what is lost between hearing a sound and speaking it, before any network changes
a note.

    python -m evaluation.exams.codec --recordings DIR

Writes the tables between the marks of docs/codec.md, and its picture. Needs FluidSynth, TimGM6mb
and the train extra.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.exams.page import block, save_picture, table
from evaluation.exams.report import cell
from evaluation.exams.unseen import mean_and_error
from evaluation.methods.subject import Subject
from evaluation.metrics.similarity import Sound, chroma_similarity, log_mel_distance, onset_f
from evaluation.metrics.spectra import (
    RATE_HZ,
    between_partials_db,
    high_band_db,
    rise_ms,
    stft_distance,
)

SECONDS = 5.12
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
HELD = (
    "accordion",
    "violin",
    "cello",
    "string ensemble",
    "choir",
    "trumpet",
    "oboe",
    "clarinet",
    "flute",
    "pan flute",
)
HELD_PITCHES_MIDI = (55, 64, 72)
HELD_SECONDS = (1.0, 4.0)  # where a held note is looked at: after its attack, before its end
FIRST_SCORE, FIRST_LOOP = 96_000, 97_000  # places in the seeds of tests


def sounds(recordings: Path | None, count: int) -> Iterator[tuple[str, str, Sound]]:
    """(kind, name, sound): every target instrument of nano once, a drum loop of every genre, each
    recording.
    """
    from evaluation.corpus.arrangements import Players, drum_loop
    from evaluation.corpus.instruments import INSTRUMENTS
    from evaluation.corpus.render import UNSEEN_SOUNDFONT, Renderer, find_soundfont
    from evaluation.corpus.scores import TEST_SEEDS, make_score

    renderer = Renderer(find_soundfont(UNSEEN_SOUNDFONT))
    for index, instrument in enumerate(INSTRUMENTS[:count]):
        samples = renderer.render(
            make_score(TEST_SEEDS[FIRST_SCORE + index], SECONDS), instrument.program
        )
        if np.abs(samples).max() > 1e-3:
            yield "unseen", instrument.name, Sound(samples, RATE_HZ)
    renderer.close()
    from engine.arranging.genres import GENRES

    players = Players(UNSEEN_SOUNDFONT)
    for index, genre in enumerate(list(GENRES)[:count]):
        yield (
            "drums",
            genre,
            Sound(drum_loop(players, TEST_SEEDS[FIRST_LOOP + index], genre, SECONDS), RATE_HZ),
        )
    players.close()
    if recordings:
        from evaluation.exams.recordings import read_recordings

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


def held_notes(count: int) -> Iterator[tuple[str, float, Sound]]:
    """(instrument, Hz, one long note), every instrument of HELD at HELD_PITCHES_MIDI by the unseen
    soundfont.
    """
    from engine.hearing.music import Note
    from evaluation.corpus.arrangements import Players
    from evaluation.corpus.render import UNSEEN_SOUNDFONT

    players = Players(UNSEEN_SOUNDFONT)
    for name, pitch in itertools.product(HELD[:count], HELD_PITCHES_MIDI):
        note = Note(0.3, HELD_SECONDS[1], pitch, 90)
        yield (
            name,
            440 * 2 ** ((pitch - 69) / 12),
            Sound(players.play([note], name, SECONDS), RATE_HZ),
        )
    players.close()


def held_table(subject: Subject, count: int) -> str:
    """What lies between the partials of held notes: each instrument's mean, original and codec."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for name, hz, sound in held_notes(count):
        pair = (sound, subject.codec(sound))
        rows.setdefault(name, []).append(
            tuple(between_partials_db(s, hz, *HELD_SECONDS) for s in pair)
        )
    means = {name: np.mean(values, axis=0) for name, values in rows.items()}
    means["all"] = np.mean(list(means.values()), axis=0)
    cells = [[name, *(f"{value:.1f}" for value in values)] for name, values in means.items()]
    return table(["between partials, dB", "original", "through the codec"], cells)


def low_passed(sound: Sound) -> Sound:
    """What a model at 16 kHz could give back at best."""
    return Sound(Sound(sound.at(16_000), 16_000).at(RATE_HZ)[: len(sound.samples)], RATE_HZ)


def examine(
    subject: Subject, heard: Sequence[tuple[str, str, Sound]]
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """kind -> way -> figures of each sound."""
    from tqdm import tqdm

    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for kind, _, sound in tqdm(heard, desc="codec", unit="sound"):
        rows = found.setdefault(kind, {way: [] for way in WAYS})
        rows["codec"].append(figures(subject.codec(sound), sound))
        rows["low_pass"].append(figures(low_passed(sound), sound))
    return found


def markdown(found: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> str:
    rows = []
    for kind, ways in found.items():
        for way, results in ways.items():
            means = {name: mean_and_error([row[name] for row in results]) for name in FIGURES}
            title = f"{KINDS[kind]} ({len(results)})" if way == "codec" else ""
            rows.append(
                [
                    title,
                    WAYS[way],
                    *(cell(means[name], digits) for name, (_, digits) in FIGURES.items()),
                ]
            )
    return table(["", "", *(heading for heading, _ in FIGURES.values())], rows)


def picture(path: Path, subject: Subject, shown: Mapping[str, Sound]) -> None:
    """Originals above, what the codec gives back below; 0 to 16 kHz, 80 dB."""
    from matplotlib.figure import Figure

    from evaluation.exams.gallery import draw

    figure = Figure(figsize=(4 * len(shown), 6), layout="constrained")
    axes = figure.subplots(2, len(shown), sharex=True, sharey=True, squeeze=False)
    for (above, below), (title, sound) in zip(axes.T, shown.items(), strict=True):
        draw(above, title, sound)
        draw(below, "through the codec", subject.codec(sound))
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz")
    save_picture(figure, path)


def main(arguments: Sequence[str] | None = None, subject: Subject | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="also these real recordings")
    parser.add_argument("--count", type=int, default=37, help="of instruments and of loops at most")
    parser.add_argument("--page", type=Path, default=Path("docs/codec.md"))
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="librosa")  # it comments on every short CQT octave
    if subject is None:
        from evaluation.methods.subject import Nano

        subject = Nano()
    heard = list(sounds(options.recordings, options.count))
    text = markdown(examine(subject, heard))
    print(text)
    block(options.page, "codec", text)
    block(options.page, "held", held_table(subject, options.count))
    by_kind = {kind: (name, sound) for kind, name, sound in reversed(heard)}
    shown = {
        f"{KINDS[kind]}: {by_kind[kind][0]}": by_kind[kind][1] for kind in KINDS if kind in by_kind
    }
    picture(options.page.parent / "pictures" / "codec.png", subject, shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
