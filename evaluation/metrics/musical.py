"""Does a stem keep to key, beat and tempo, and is it free of its source?

Each function's docstring is the definition of its figure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from evaluation.metrics.similarity import ONSET_WINDOW_SECONDS
from evaluation.metrics.sound import ANALYSIS_RATE_HZ, HOP, Sound

STRONG = 0.6  # of a frame's strongest pitch class
SILENT_BELOW_PEAK = 1e-3
TEMPO_REACH, TEMPO_STEP_BPM = 0.08, 0.02
TEMPO_MULTIPLES = (1, 2, 4)  # of the beat: patterns that leave beats out still tell its rate
SOURCE_N_FFT, SOURCE_HOP, SOURCE_BANDS = 2048, 512, 8
SOURCE_RATE_HZ = 32_000


def key_share(sound: Sound, pitch_classes: Collection[int]) -> float:
    """Share of a sound that lies in a key; nan for silence.

    Of each CQT chroma frame the pitch classes of at least 0.6 of the strongest count, weighted by
    their strength and by the frame's level (RMS).
    """
    strong, level = _strong_chroma(sound)
    inside = np.isin(np.arange(12), list(pitch_classes))[:, None]
    return _share(strong * inside, strong, level)


def harmony_share(sound: Sound, allowed: Sequence[tuple[float, Collection[int]]]) -> float:
    """`key_share` with other pitch classes from each time on: (seconds, pitch classes), ascending.

    The key and the chord of the moment are allowed: a secondary dominant leaves the key rightly.
    """
    strong, level = _strong_chroma(sound)
    times = np.arange(strong.shape[1]) * HOP / ANALYSIS_RATE_HZ
    place = np.clip(
        np.searchsorted([start for start, _ in allowed], times, side="right") - 1, 0, None
    )
    masks = np.array([np.isin(np.arange(12), list(classes)) for _, classes in allowed])  # [n, 12]
    return _share(strong * masks[place].T, strong, level)


def beat_onset_f(sound: Sound, beats_seconds: np.ndarray) -> float:
    """F-measure of a sound's onsets against given beats, 50 ms, each matched once.

    mir_eval.onset.f_measure. Onsets between beats count against it, so even a perfect drummer does
    not reach 1: compare with the true part's own figure.
    """
    import mir_eval

    if not len(sound.onsets_seconds):
        return 0.0
    onsets_seconds = sound.onsets_seconds
    measures = mir_eval.onset.f_measure(beats_seconds, onsets_seconds, window=ONSET_WINDOW_SECONDS)
    return float(measures[0])


def tempo_error_bpm(sound: Sound, tempo_bpm: float) -> float:
    """How far the sound's own tempo lies from the true one, in BPM; nan without any onset.

    Its tempo is the rate within 8 % of the true one at which the onset strength is most periodic
    (magnitude of its Fourier sum at 1, 2 and 4 times the beat). Without a beat the figure is any
    value up to 8 %.
    """
    strength = sound.onset_strength - sound.onset_strength.mean()
    if not np.any(strength):
        return float("nan")
    times = np.arange(len(strength)) * HOP / ANALYSIS_RATE_HZ
    strength = strength * np.hanning(len(strength))
    rates = np.arange(tempo_bpm * (1 - TEMPO_REACH), tempo_bpm * (1 + TEMPO_REACH), TEMPO_STEP_BPM)
    turns = np.exp(-2j * np.pi * np.outer(rates / 60, times))
    found = sum(np.abs(turns**multiple @ strength) for multiple in TEMPO_MULTIPLES)
    return float(abs(rates[found.argmax()] - tempo_bpm))


def source_db(stem: Sound, source: Sound) -> float:
    """Energy of the source in the stem, in dB of the stem's own; 0 for a copy, nan for silence.

    What the best complex gain in each of 8 bands explains; STFT of 64 ms, bands equal on the mel
    scale. Narrower bands would find more agreement by chance. Typical values: docs/evaluation.md.
    """
    from librosa import mel_frequencies

    mine, theirs = (_stft(sound.at(SOURCE_RATE_HZ)) for sound in (stem, source))
    frames = min(len(mine), len(theirs))
    mine, theirs = mine[:frames], theirs[:frames]
    hz = np.fft.rfftfreq(SOURCE_N_FFT, 1 / SOURCE_RATE_HZ)
    edges = np.searchsorted(
        hz, mel_frequencies(n_mels=SOURCE_BANDS + 1, fmin=0, fmax=SOURCE_RATE_HZ / 2)
    )
    explained = 0.0
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        if last > first:
            x, y = theirs[:, first:last], mine[:, first:last]
            explained += np.abs(np.vdot(x, y)) ** 2 / max(float(np.vdot(x, x).real), 1e-12)
    energy = float(np.vdot(mine, mine).real)
    return float(10 * np.log10(max(explained, 1e-12 * energy) / energy)) if energy else float("nan")


def _strong_chroma(sound: Sound) -> tuple[np.ndarray, np.ndarray]:
    chroma = sound.chroma * (sound.chroma >= STRONG * sound.chroma.max(axis=0, keepdims=True))
    padded = np.pad(sound.at(ANALYSIS_RATE_HZ), HOP)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP]
    level = np.sqrt(np.mean(np.square(frames), axis=1))[: chroma.shape[1]]
    level = np.pad(level, (0, chroma.shape[1] - len(level)))
    return chroma, level * (level > SILENT_BELOW_PEAK * level.max())


def _share(inside: np.ndarray, every: np.ndarray, level: np.ndarray) -> float:
    total = float((every.sum(axis=0) * level).sum())
    return float((inside.sum(axis=0) * level).sum() / total) if total else float("nan")


def _stft(samples: np.ndarray) -> np.ndarray:
    """Complex [frames, bins]."""
    padded = np.pad(samples, SOURCE_N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, SOURCE_N_FFT)[::SOURCE_HOP]
    return np.fft.rfft(frames * np.hanning(SOURCE_N_FFT), axis=1)
