"""How well is a sound given back? Figures of a copy and its original, both mono at 32 kHz."""

from __future__ import annotations

import numpy as np

from evaluation.metrics.sound import Sound

RATE_HZ = 32_000
RESOLUTIONS = (512, 1024, 2048, 4096)
MAGNITUDE_FLOOR = 1e-4
HIGH_HZ = 8000
LONG_WINDOW = 16_384  # samples
ENVELOPE_HOP, ENVELOPE_WINDOW = 64, 160  # 2 ms, 5 ms
BEFORE_SECONDS, AFTER_SECONDS = 0.03, 0.08  # of an onset: where its attack is looked for


def stft_distance(copy: Sound, original: Sound) -> dict[str, float]:
    """Multi-resolution STFT distance, the mean over n_fft 512 to 4096.

    Yamamoto et al. 2020 (arXiv 1910.11480).

    convergence: Frobenius norm of the difference of magnitudes by that of the original's;
    log_magnitude: mean absolute difference of log(max(|X|, 1e-4)), in nepers. Hann, hop n_fft / 4;
    a sine's magnitude is its amplitude.
    """
    convergence, log_magnitude = [], []
    for n_fft in RESOLUTIONS:
        one, two = (magnitudes(sound, n_fft) for sound in (copy, original))
        frames = min(one.shape[0], two.shape[0])
        one, two = one[:frames], two[:frames]
        convergence.append(np.linalg.norm(one - two) / max(float(np.linalg.norm(two)), 1e-9))
        logs = (np.log(np.maximum(part, MAGNITUDE_FLOOR)) for part in (one, two))
        log_magnitude.append(np.abs(next(logs) - next(logs)).mean())
    return {
        "convergence": float(np.mean(convergence)),
        "log_magnitude": float(np.mean(log_magnitude)),
    }


def high_band_db(copy: Sound, original: Sound) -> float:
    """Energy from 8 to 16 kHz, copy over original, in dB.

    nan if the original has next to none there (-70 dB).
    """
    energies = []
    for sound in (copy, original):
        power = np.abs(np.fft.rfft(sound.at(RATE_HZ))) ** 2
        hz = np.fft.rfftfreq(len(sound.at(RATE_HZ)), 1 / RATE_HZ)
        energies.append((float(power[hz >= HIGH_HZ].sum()), float(power.sum())))
    (made, _), (there, all_) = energies
    return float(10 * np.log10(max(made, 1e-20) / there)) if there > 1e-7 * all_ else float("nan")


def rise_ms(sound: Sound, onsets_seconds: np.ndarray) -> float:
    """How long attacks take in ms, from a tenth to nine tenths of the way up; nan for none.

    The median over onsets. Envelope: RMS over 5 ms, every 2 ms. The top is the loudest place from
    30 ms before an onset to 80 ms after it, the bottom the softest one before the top.
    """
    envelope = _envelope(sound.at(RATE_HZ))
    times = []
    for onset in onsets_seconds:
        first = max(0, round((onset - BEFORE_SECONDS) * RATE_HZ / ENVELOPE_HOP))
        part = envelope[first : round((onset + AFTER_SECONDS) * RATE_HZ / ENVELOPE_HOP)]
        if not len(part):
            continue
        top = int(part.argmax())
        bottom = int(part[: top + 1].argmin())
        climb = part[bottom : top + 1] - part[bottom]
        if climb[-1] > 0.5 * part[top]:  # a true attack, not a ripple on a long note
            tenth, most = (int(np.argmax(climb >= share * climb[-1])) for share in (0.1, 0.9))
            times.append((most - tenth) * ENVELOPE_HOP / RATE_HZ * 1000)
    return float(np.median(times)) if times else float("nan")


def between_partials_db(
    sound: Sound, hz: float, first_seconds: float, last_seconds: float
) -> float:
    """Energy of a long note of `hz` between its partials, over that near them, in dB.

    Near is within a quarter of `hz` of its multiples, up to 8 kHz. Between lie breath, beats of
    several voices, or buzz. Windows of half a second.
    """
    samples = sound.at(RATE_HZ)[round(first_seconds * RATE_HZ) : round(last_seconds * RATE_HZ)]
    frames = np.lib.stride_tricks.sliding_window_view(samples, LONG_WINDOW)[:: LONG_WINDOW // 4]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(LONG_WINDOW), axis=1))).mean(axis=0)
    bins_hz = np.fft.rfftfreq(LONG_WINDOW, 1 / RATE_HZ)
    counted = (bins_hz > hz / 2) & (bins_hz < HIGH_HZ)
    is_near = np.abs(bins_hz - hz * np.round(bins_hz / hz)) < hz / 4
    near, between = power[counted & is_near].sum(), power[counted & ~is_near].sum()
    return float(10 * np.log10((between + 1e-20) / (near + 1e-20)))


def magnitudes(sound: Sound, n_fft: int) -> np.ndarray:
    """[frames, n_fft / 2 + 1]."""
    samples = np.pad(sound.at(RATE_HZ), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[:: n_fft // 4]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    return np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) / (n_fft / 4)


def _envelope(samples: np.ndarray) -> np.ndarray:
    half = ENVELOPE_WINDOW // 2
    squares = np.concatenate([[0.0], np.cumsum(np.square(np.pad(samples, half), dtype=np.float64))])
    sums = squares[ENVELOPE_WINDOW:] - squares[:-ENVELOPE_WINDOW]
    return np.sqrt(np.maximum(sums[::ENVELOPE_HOP], 0) / ENVELOPE_WINDOW)
