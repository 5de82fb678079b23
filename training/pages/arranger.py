"""The pictures and the table of docs/arranger.md.

    python -m training.pages.arranger --out docs

Piano rolls need matplotlib, the spectrogram FluidSynth and a soundfont.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.arranging.compose import Arrangement, compose
from engine.arranging.genres import DRUMS, GENRES, Genre
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.hearing.music import PITCH_NAMES, Chord, Note
from evaluation.corpus.instruments import SOUNDS, Instrument
from evaluation.corpus.render import TRAINING_SOUNDFONTS, Renderer, find_soundfont
from evaluation.corpus.scores import CONTROL_RATE_HZ, Score
from evaluation.reporting.page import markdown_table, replace_block, save_picture

SECONDS = 10.0
# genre -> seed
SHOWN = {"jazz": 9, "bossa nova": 6, "waltz": 12, "folk": 3, "techno": 3, "funk": 2, "blues": 5}
HEARD = "funk"  # whose spectrogram is drawn
HIT_SECONDS = 0.05  # as wide as a hit is drawn
METRES = {3: "3/4", 4: "4/4", 5: "5/4", 6: "6/8"}
ROLE_COLOURS = {
    "tune": "#d62728",
    "counter": "#9467bd",
    "arpeggio": "#17becf",
    "chords": "#1f77b4",
    "pad": "#b8cbe0",
    "bass": "#2ca02c",
}
GAINS = {
    "tune": 1.0,
    "bass": 1.0,
    "drums": 1.0,
    "chords": 0.6,
    "counter": 0.5,
    "arpeggio": 0.4,
    "pad": 0.4,
}
SUFFIXES = {  # quality -> what is written after the root
    "major": "",
    "minor": "m",
    "diminished": "o",
    "augmented": "+",
    "suspended": "sus",
    "major 7": "M7",
    "minor 7": "m7",
    "dominant 7": "7",
    "half-diminished": "ø7",
    "diminished 7": "o7",
    "minor 6": "m6",
    "major 6": "6",
}


def genre_table() -> str:
    """Markdown, a row for each of GENRES."""
    return markdown_table(
        [
            "genre",
            "also called",
            "BPM",
            "metres",
            "feel",
            "modes",
            "a progression",
            "tune, bass, chords, drums",
        ],
        [_row(name, genre) for name, genre in GENRES.items()],
    )


def _row(name: str, genre: Genre) -> list[str]:
    harmony = genre.harmonies[0]
    return [
        name,
        ", ".join(word for word in genre.words if word != name),
        "{:g} – {:g}".format(*genre.tempo_bpm),
        ", ".join(METRES[beats] for beats in genre.metres),
        _feel(genre),
        ", ".join(harmony.mode for harmony in genre.harmonies),
        f"`{harmony.progressions[0].replace('|', '-')}`",
        ", ".join(genre.instruments[role][0] for role in ("lead", "bass", "chords", "drums")),
    ]


def _feel(genre: Genre) -> str:
    if genre.swing == 0.5:
        return "straight"
    return f"{'sixteenths' if genre.swung_pairs_per_beat == 2 else 'eighths'} swing {genre.swing:g}"


def draw_roll(path: Path, piece: Arrangement) -> None:
    """All parts over beats and bar lines, chords written above, drums line by line below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    pitched, drum_lines = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for role, notes in {
        **{role: piece.parts.get(role, ()) for role in reversed(ROLE_COLOURS)},
        "tune": piece.tune,
    }.items():
        _bars(pitched, notes, [note.pitch_midi for note in notes], ROLE_COLOURS[role])
        pitched.plot([], [], color=ROLE_COLOURS[role], linewidth=5, label=role)
    lines = [
        name
        for name, pitch in DRUMS.items()
        if any(pitch == n.pitch_midi for n in piece.parts["drums"])
    ]
    places = {DRUMS[name]: place for place, name in enumerate(lines)}
    hits = [note._replace(duration_seconds=HIT_SECONDS) for note in piece.parts["drums"]]
    _bars(drum_lines, hits, [places[note.pitch_midi] for note in hits], "black")
    drum_lines.set(
        yticks=range(len(lines)), yticklabels=lines, xlabel="seconds", xlim=(0, piece.grid.seconds)
    )
    pitched.set(ylabel="MIDI pitch")
    _grid_lines((pitched, drum_lines), piece)
    handles, names = pitched.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside right upper", frameon=False)
    figure.suptitle(f"{piece.genre}: {piece.grid.key}, {piece.grid.tempo_bpm:.0f} BPM")
    save_picture(figure, path)


def _bars(axis: Any, notes: Sequence[Note], heights: Sequence[float], colour: str) -> None:
    """A bar for each note, the softer the paler."""
    alphas = [0.25 + 0.75 * note.velocity / 127 for note in notes]
    axis.barh(
        heights,
        [note.duration_seconds for note in notes],
        left=[note.start_seconds for note in notes],
        height=0.8,
        color=[(colour, alpha) for alpha in alphas],
    )


def _grid_lines(axes: Sequence[Any], piece: Arrangement) -> None:
    grid = piece.grid
    for beat, seconds in enumerate(grid.beats_seconds):
        if 0 <= seconds < grid.seconds:
            for axis in axes:
                axis.axvline(
                    seconds,
                    color="black",
                    linewidth=0.8 if grid.place_in_bar(beat) == 0 else 0.15,
                    zorder=0,
                )
        chord = grid.chords[beat] if beat < len(grid.chords) else None
        if chord is not None and (beat == 0 or chord != grid.chords[beat - 1]):
            place = max(0.0, seconds), axes[0].get_ylim()[1]
            axes[0].annotate(
                _name(chord), place, xytext=(2, 3), textcoords="offset points", fontsize=8
            )


def _name(chord: Chord) -> str:
    return PITCH_NAMES[chord.root] + SUFFIXES[chord.quality]


def render_mix(piece: Arrangement, renderer: Renderer) -> np.ndarray:
    """All parts together, mono float32, each on the first instrument that its genre names."""
    stems = {"lead": piece.tune, **piece.parts}
    length = round(piece.grid.seconds * CONTROL_RATE_HZ)
    mix = np.zeros(length * SAMPLE_RATE_HZ // CONTROL_RATE_HZ, np.float32)
    for role, notes in stems.items():
        sound = instrument(GENRES[piece.genre].instruments[role][0])
        score = Score.from_notes(notes, piece.grid.seconds, piece.grid.tempo_bpm)
        mix += GAINS.get(role, 1.0) * renderer.render(score, sound.program, sound.bank)
    return mix / np.abs(mix).max()


def instrument(words: str) -> Instrument:
    """The row of SOUNDS with these words, or with the last one: "upright bass" is a bass."""
    rows: Mapping[str, Instrument] = {
        word: sound for sound in SOUNDS for word in (*sound.words, sound.name)
    }
    return rows[words] if words in rows else rows[words.split()[-1]]


def draw_spectrogram(path: Path, piece: Arrangement) -> None:
    from matplotlib.figure import Figure

    from evaluation.metrics.sound import Sound

    renderer = Renderer(find_soundfont(TRAINING_SOUNDFONTS[0]))
    mel = Sound(render_mix(piece, renderer), SAMPLE_RATE_HZ).log_mel
    renderer.close()
    figure = Figure(figsize=(11, 3), layout="constrained")
    axis = figure.subplots()
    span = (0, piece.grid.seconds, 0, len(mel))
    axis.imshow(mel, origin="lower", aspect="auto", extent=span, vmin=-9, vmax=1, cmap="magma")
    axis.set(title=f"{piece.genre}: all parts", xlabel="seconds", ylabel="mel band")
    save_picture(figure, path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="the folder of arranger.md")
    options = parser.parse_args(arguments)
    replace_block(options.out / "arranger.md", "genres", genre_table())
    for name, seed in SHOWN.items():
        piece = compose(seed, SECONDS, name)
        draw_roll(options.out / "pictures" / f"arranger-{name.replace(' ', '-')}.png", piece)
        if name == HEARD:
            draw_spectrogram(options.out / "pictures" / "arranger-spectrogram.png", piece)


if __name__ == "__main__":
    main()
