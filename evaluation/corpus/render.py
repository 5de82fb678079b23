"""Scores to audio with FluidSynth. One `Renderer` belongs to one thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.families.nano.features import SAMPLE_RATE_HZ
from evaluation.corpus.scores import BEND_RANGE_CENTS, CONTROL_RATE_HZ, Score

SOUNDFONT_FOLDERS = (
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/local/share/soundfonts"),
)
SOUNDFONTS = {  # name -> (file, Debian package)
    "fluid": ("FluidR3_GM.sf2", "fluid-soundfont-gm"),
    "musescore": ("MuseScore_General_Lite.sf3", "musescore-general-soundfont-small"),
    "timgm": ("TimGM6mb.sf2", "timgm6mb-soundfont"),
}
TRAINING_SOUNDFONTS = ("fluid", "musescore")
UNSEEN_SOUNDFONT = "timgm"  # never in training: the evaluation's

_BLOCK = SAMPLE_RATE_HZ // CONTROL_RATE_HZ  # 320 samples between two controller values


def find_soundfont(name: str) -> Path:
    """The file of a soundfont in SOUNDFONTS.

    Raises FileNotFoundError naming the Debian package that brings it.
    """
    file, package = SOUNDFONTS[name]
    for folder in SOUNDFONT_FOLDERS:
        if (folder / file).exists():
            return folder / file
    raise FileNotFoundError(
        f"soundfont {file} is in none of {[str(folder) for folder in SOUNDFONT_FOLDERS]}: "
        f"install the package {package}"
    )


class Renderer:
    """One FluidSynth with one soundfont; reverb and chorus off, as the model adds none."""

    def __init__(self, soundfont: Path) -> None:
        import fluidsynth

        self._synth = fluidsynth.Synth(
            gain=1.2,
            samplerate=float(SAMPLE_RATE_HZ),
            **{"synth.reverb.active": 0, "synth.chorus.active": 0},
        )
        self._font = self._synth.sfload(str(soundfont))
        if self._font == -1:
            raise RuntimeError(f"FluidSynth cannot read {soundfont}")

    def render(self, score: Score, program: int, bank: int = 0) -> np.ndarray:
        """Mono float32 [32 000 * seconds] at the synthesiser's own level. `bank` 128: percussion.

        Silence if the program has no such notes.
        """
        synth = self._synth
        synth.system_reset()
        synth.get_samples(SAMPLE_RATE_HZ)  # what still rings of the last score
        synth.program_select(0, self._font, bank, program)
        length = int(round(score.seconds * CONTROL_RATE_HZ))
        events = _schedule(score, length)
        bends = np.round(score.bend_cents / BEND_RANGE_CENTS * 8191).astype(int)
        levels = np.round(score.expression * 127).astype(int)
        blocks, bend, level = [], 0, None
        for index in range(length):
            if bends[index] != bend:
                bend = bends[index]
                synth.pitch_bend(0, int(bend))
            if levels[index] != level:
                level = levels[index]
                synth.cc(0, 11, int(level))
            for pitch, velocity in events[index]:
                synth.noteon(0, pitch, velocity) if velocity else synth.noteoff(0, pitch)
            blocks.append(synth.get_samples(_BLOCK))
        stereo = np.concatenate(blocks).reshape(-1, 2)
        return stereo.astype(np.float32).mean(axis=1) / 32768

    def close(self) -> None:
        self._synth.delete()


def _schedule(score: Score, length: int) -> list[list[tuple[int, int]]]:
    """Per block: (pitch, velocity) with velocity 0 for a note's end; ends come first."""
    events: list[list[tuple[int, int]]] = [[] for _ in range(length)]
    for note in score.notes:
        start = int(note.start_seconds * CONTROL_RATE_HZ)
        if start < length:
            events[start].append((note.pitch_midi, note.velocity))
            end = max(
                start + 2, int((note.start_seconds + note.duration_seconds) * CONTROL_RATE_HZ)
            )
            if end < length:
                events[end].insert(0, (note.pitch_midi, 0))
    return events
