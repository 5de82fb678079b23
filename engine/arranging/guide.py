"""A plain sound of written notes, which nano then plays on the instrument that was asked for.

Tones are two wavetables, a bright one that dies away sooner and a mellow one; drums are swept sines
and filtered noise. It need not please: it says what is played, when and how loud. nano's training
has heard it (`training.nano.data`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from engine.hearing.music import Note

RATE_HZ = 32_000
TABLE = 2048  # samples of one period
HIGHEST_HZ = 13_000.0
ATTACK_SECONDS = 0.004
LONGEST_SECONDS = 12.0  # of one note


class Tone(NamedTuple):
    """How a kind of guide sounds: the slopes of its partials' levels, and how fast it dies away."""

    bright_slope: float
    mellow_slope: float
    bright_decay_seconds: float
    mellow_decay_seconds: float
    release_seconds: float


TONES = {"plucked": Tone(1.0, 1.8, 0.25, 1.6, 0.06), "sustained": Tone(0.9, 1.5, 0.8, 30.0, 0.10)}


class Hit(NamedTuple):
    """A drum: a sine that falls from one pitch to another, and noise between two edges."""

    from_hz: float
    to_hz: float
    tone: float
    tone_decay_seconds: float
    low_hz: float
    high_hz: float
    noise: float
    noise_decay_seconds: float


_SNARE = Hit(330, 180, 0.5, 0.09, 900, 11_000, 0.6, 0.13)
_TOM = Hit(190, 110, 0.9, 0.28, 200, 4_000, 0.12, 0.05)
_CLOSED = Hit(0, 0, 0.0, 0.1, 6_500, 15_000, 0.4, 0.04)
_CYMBAL = Hit(0, 0, 0.0, 0.1, 3_500, 15_000, 0.4, 0.9)
# A ride rings at the pitch of its bell: of noise alone nano makes a hi-hat.
_RIDE = Hit(2_600, 2_600, 0.3, 0.8, 5_000, 15_000, 0.3, 0.7)
_BLOCK = Hit(1_100, 900, 0.5, 0.04, 1_000, 5_000, 0.1, 0.02)
HITS = {  # by General MIDI's percussion keys; any other one sounds as a block
    35: Hit(120, 45, 1.0, 0.16, 800, 4_000, 0.08, 0.01),
    36: Hit(140, 50, 1.0, 0.16, 800, 5_000, 0.10, 0.01),
    37: Hit(1_500, 1_300, 0.3, 0.02, 1_500, 9_000, 0.4, 0.02),
    38: _SNARE,
    39: Hit(0, 0, 0.0, 0.1, 900, 6_000, 0.7, 0.12),
    40: _SNARE._replace(from_hz=380, to_hz=230),
    41: _TOM._replace(from_hz=120, to_hz=70),
    42: _CLOSED,
    43: _TOM._replace(from_hz=140, to_hz=85),
    44: _CLOSED._replace(noise=0.25, noise_decay_seconds=0.03),
    45: _TOM._replace(from_hz=165, to_hz=95),
    46: _CLOSED._replace(noise_decay_seconds=0.35),
    47: _TOM,
    48: _TOM._replace(from_hz=230, to_hz=140),
    49: _CYMBAL,
    50: _TOM._replace(from_hz=270, to_hz=170),
    51: _RIDE,
    52: _CYMBAL,
    53: Hit(2_600, 2_600, 0.25, 0.4, 5_000, 14_000, 0.1, 0.2),
    54: _CLOSED._replace(low_hz=5_000, noise_decay_seconds=0.09),
    55: _CYMBAL._replace(noise_decay_seconds=0.4),
    56: Hit(560, 560, 0.6, 0.12, 800, 5_000, 0.05, 0.03),
    57: _CYMBAL._replace(low_hz=3_000),
    59: _RIDE,
    69: _CLOSED._replace(low_hz=4_000, noise=0.3, noise_decay_seconds=0.05),
    70: _CLOSED._replace(low_hz=4_500, noise=0.3, noise_decay_seconds=0.05),
    82: _CLOSED._replace(low_hz=4_000, noise=0.3, noise_decay_seconds=0.06),
}


SUSTAINED_ROLES = ("pad", "counter", "tune")


def sound(role: str, notes: Sequence[Note], seconds: float) -> np.ndarray:
    """Mono float32 [32 000 * seconds] of a part."""
    if role == "drums":
        return drums(notes, seconds)
    return tones(notes, seconds, "sustained" if role in SUSTAINED_ROLES else "plucked")


def tones(notes: Sequence[Note], seconds: float, kind: str = "plucked") -> np.ndarray:
    """Mono float32 [32 000 * seconds] of pitched notes; `kind`: key of TONES."""
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    for note in notes:
        _add(out, note.start_seconds, _tone(note, TONES[kind]))
    return out


def drums(notes: Sequence[Note], seconds: float) -> np.ndarray:
    """Mono float32 [32 000 * seconds] of General MIDI percussion."""
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    for note in notes:
        _add(out, note.start_seconds, _hit(note.pitch_midi) * np.float32(_gain(note.velocity)))
    return out


def _add(out: np.ndarray, start_seconds: float, sound: np.ndarray) -> None:
    first = round(start_seconds * RATE_HZ)
    sound = sound[max(0, -first) : max(0, len(out) - first)]
    out[max(0, first) : max(0, first) + len(sound)] += sound


def _gain(velocity: int) -> float:
    """As General MIDI wants it: 40 log10(velocity / 127) dB."""
    return (velocity / 127) ** 2


def _tone(note: Note, tone: Tone) -> np.ndarray:
    seconds = min(note.duration_seconds, LONGEST_SECONDS)
    time = np.arange(
        round((seconds + tone.release_seconds) * RATE_HZ), dtype=np.float32
    ) / np.float32(RATE_HZ)
    pitch_hz = 440 * 2 ** ((note.pitch_midi - 69) / 12)
    place = (time * np.float32(pitch_hz) % 1 * TABLE).astype(np.int32) % TABLE
    bright, mellow = _tables(note.pitch_midi, tone)
    sound = bright[place] * np.exp(-time / tone.bright_decay_seconds)
    sound += mellow[place] * np.exp(-time / tone.mellow_decay_seconds)
    ends = np.clip((seconds + tone.release_seconds - time) / tone.release_seconds, 0, 1)
    return (sound * np.minimum(time / ATTACK_SECONDS, 1) * ends * _gain(note.velocity)).astype(
        np.float32
    )


@lru_cache(maxsize=256)
def _tables(pitch_midi: int, tone: Tone) -> tuple[np.ndarray, np.ndarray]:
    """A period of each, of partials below HIGHEST_HZ; drawn phases keep the peaks low."""
    count = max(1, min(40, int(HIGHEST_HZ / (440 * 2 ** ((pitch_midi - 69) / 12)))))
    number = np.arange(1, count + 1)
    phases = np.random.default_rng(5).uniform(0, 2 * np.pi, 40)[:count]
    waves = np.sin(2 * np.pi * np.outer(number, np.arange(TABLE) / TABLE) + phases[:, None])
    tables: np.ndarray = (
        number[None] ** -np.array([[tone.bright_slope], [tone.mellow_slope]])
    ) @ waves
    bright, mellow = (0.5 * tables / np.abs(tables).max(axis=1, keepdims=True)).astype(np.float32)
    return bright, mellow


@lru_cache(maxsize=128)
def _hit(pitch_midi: int) -> np.ndarray:
    hit = HITS.get(pitch_midi, _BLOCK)
    seconds = 5 * max(hit.tone_decay_seconds * (hit.tone > 0), hit.noise_decay_seconds)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = hit.to_hz + (hit.from_hz - hit.to_hz) * np.exp(-time / 0.03)
    sound = (
        hit.tone
        * np.exp(-time / hit.tone_decay_seconds)
        * np.sin(2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ)
    )
    spectrum = np.fft.rfft(np.random.default_rng(pitch_midi).standard_normal(len(time)))
    frequency = np.fft.rfftfreq(len(time), 1 / RATE_HZ)
    noise = np.fft.irfft(
        spectrum * ((frequency > hit.low_hz) & (frequency < hit.high_hz)), len(time)
    )
    sound += (
        hit.noise
        * np.exp(-time / hit.noise_decay_seconds)
        * noise
        / np.maximum(np.std(noise), 1e-9)
    )
    return (sound * np.minimum(time / 0.0015, 1)).astype(np.float32)
