"""How loud is a region (ITU-R BS.1770-4), and how does a stem become as loud without clipping?

Rule: numpy alone. The K-weighting filter is applied as a weight on the power spectrum of 100 ms
segments instead of as a recursive filter: for loudness the phase does not matter, and a 5 s stereo
region takes milliseconds. Four neighbouring segments are one 400 ms gating block.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SEGMENT_SECONDS = 0.1
SEGMENTS_PER_BLOCK = 4
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LU = -0.691  # BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LUFS
SILENT_POWER = 1e-14
PEAK_CEILING = 1.0 - 2.0**-15  # the largest value that every format stores unclipped
LIMITER_BLOCK_SECONDS = 0.001
LIMITER_REACH_BLOCKS = 5  # gain moves over 5 ms to either side of a peak
MAX_MAKE_UP_DB = 60.0
# how much harder a limited stem is pushed to be as loud as the region; more sounds squashed
LIMITER_DRIVE_DB = 4.0
LOUDNESS_TOLERANCE = 1.03  # a quarter of a decibel


def loudness(samples: np.ndarray, rate_hz: int) -> float:
    """Integrated loudness in LUFS of [frames] or [frames, channels]; -inf for silence.

    Every channel counts alike. Under 400 ms the whole region is one block; where gating would leave
    nothing, all blocks count; where the K-weighting leaves nothing (a constant), the plain RMS
    counts.
    """
    return _to_lufs(_power_after_gating(block_powers(samples, rate_hz)))


def peak(samples: np.ndarray) -> float:
    """Largest absolute sample; 0.0 for no samples."""
    return float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))


def to_db(value: float) -> float:
    """20 log10; -inf for 0."""
    return 20 * float(np.log10(value)) if value > 0 else -np.inf


def block_powers(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """K-weighted power of each 400 ms block (hop 100 ms), summed over the channels: [blocks]."""
    if not len(samples):
        return np.zeros(0)
    columns = samples[:, None] if samples.ndim == 1 else samples
    length = max(1, round(SEGMENT_SECONDS * rate_hz))
    if len(columns) < SEGMENTS_PER_BLOCK * length:
        length, per_block = max(1, len(columns)), 1
    else:
        per_block = SEGMENTS_PER_BLOCK
    segments = np.zeros(len(columns) // length)
    for channel in range(columns.shape[1]):
        segments += _segment_powers(columns[:, channel], length, rate_hz)
    powers = np.convolve(segments, np.full(per_block, 1 / per_block), "valid")
    if powers.max(initial=0.0) > SILENT_POWER:
        return powers
    return np.array([columns.shape[1] * np.mean(np.square(columns, dtype=np.float64))])


def match_loudness(
    stem: np.ndarray, rate_hz: int, target_powers: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """`stem` [frames, channels] at the loudness of a region with these block powers, and notes.

    Peaks are at most 1.0.
    """
    target = _power_after_gating(target_powers)
    powers = block_powers(stem, rate_hz)
    if target <= SILENT_POWER or powers.max(initial=0.0) <= SILENT_POWER:
        return limit(stem, rate_hz), ["level: no loudness to match (silence)"]
    gain = matching_gain(powers, target)
    hardest = gain * 10 ** (LIMITER_DRIVE_DB / 20)
    while True:
        louder = stem * np.float32(gain)
        matched = limit(louder, rate_hz)
        if matched is louder:
            return matched, []
        missing = np.sqrt(
            target / max(_power_after_gating(block_powers(matched, rate_hz)), SILENT_POWER)
        )
        if missing < LOUDNESS_TOLERANCE or gain >= hardest:
            break
        gain = min(gain * missing, hardest)
    reduction_db = to_db(peak(louder)) - to_db(PEAK_CEILING)
    notes = [f"level: peaks limited by up to {reduction_db:.1f} dB"]
    if missing > 1.1:
        notes.append(f"level: {to_db(missing):.1f} dB below the region, more would clip")
    return matched, notes


def matching_gain(powers: np.ndarray, target_power: float) -> float:
    """The gain after which blocks of these powers have the gated power `target_power`.

    The absolute gate does not move with the gain, so the gain is found in a few rounds.
    """
    ceiling = 10 ** (MAX_MAKE_UP_DB / 20)
    gain = min(float(np.sqrt(target_power / powers.mean())), ceiling)
    for _ in range(4):
        gain = min(
            gain * float(np.sqrt(target_power / _power_after_gating(powers * gain**2))), ceiling
        )
    return gain


def limit(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """`samples` [frames, channels] with peaks at most 1.0: a look-ahead limiter.

    One gain for all channels; where nothing exceeds, the same array comes back. The gain at each
    edge of a block of 1 ms is the smallest need within 5 ms, averaged over 5 ms and drawn as
    straight lines between the edges: never above the need of any sample.
    """
    if peak(samples) <= PEAK_CEILING:
        return samples
    size = max(1, round(LIMITER_BLOCK_SECONDS * rate_hz))
    count = -(-len(samples) // size)
    padded = np.zeros(count * size, np.float32)
    padded[: len(samples)] = np.abs(samples).max(axis=1)
    need = PEAK_CEILING / np.maximum(padded.reshape(count, size).max(axis=1), PEAK_CEILING)
    edges = _smooth_floor(need, LIMITER_REACH_BLOCKS)  # [count + 1]
    gain = np.interp(np.arange(len(samples)), np.arange(count + 1) * size, edges).astype(np.float32)
    limited = samples * gain[:, None]
    return np.clip(limited, -PEAK_CEILING, PEAK_CEILING, out=limited)  # the last float rounding


def _smooth_floor(need: np.ndarray, reach: int) -> np.ndarray:
    """Gain at the edges of blocks: smooth, and nowhere above the needs of both neighbours."""
    wide = np.pad(need, reach + 1, constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(wide, reach + 2).min(axis=1)
    # averaging `reach + 1` minima, each of which covers both neighbours, stays below both
    return np.convolve(lowest, np.full(reach + 1, 1 / (reach + 1)), "valid")


def _power_after_gating(powers: np.ndarray) -> float:
    if not len(powers) or powers.max() <= SILENT_POWER:
        return 0.0
    loud = powers[powers > _from_lufs(ABSOLUTE_GATE_LUFS)]
    if not len(loud):
        return float(powers.mean())
    return float(loud[loud >= loud.mean() * 10 ** (RELATIVE_GATE_LU / 10)].mean())


def _to_lufs(power: float) -> float:
    return OFFSET_LU + 10 * float(np.log10(power)) if power > 0 else -np.inf


def _from_lufs(lufs: float) -> float:
    return 10 ** ((lufs - OFFSET_LU) / 10)


def _segment_powers(samples: np.ndarray, length: int, rate_hz: int) -> np.ndarray:
    """K-weighted power of each whole segment, of which there is one at least: [len // length]."""
    count = len(samples) // length
    weight = _k_weight(length, rate_hz)
    powers = np.empty(count)
    for first in range(0, count, 256):
        last = min(count, first + 256)
        segments = samples[first * length : last * length].reshape(last - first, length)
        spectrum = np.fft.rfft(np.asarray(segments, np.float32), axis=1)
        powers[first:last] = (np.square(spectrum.real) + np.square(spectrum.imag)) @ weight
    return powers


@lru_cache(maxsize=16)
def _k_weight(length: int, rate_hz: int) -> np.ndarray:
    """|H(f)|^2 of the two BS.1770 filters times Parseval's factors: [length // 2 + 1]."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(length))
    response = np.ones_like(z)
    for numerator, denominator in (_shelf(rate_hz), _high_pass(rate_hz)):
        response = response * np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)
    parseval = np.full(len(z), 2.0)
    parseval[0] = 1.0
    if length % 2 == 0:
        parseval[-1] = 1.0
    weight = np.square(np.abs(response)) * parseval / length**2
    return weight.astype(np.float32)


def _shelf(rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """The head filter (+4 dB above 1.7 kHz) for any rate, as libebur128 derives it."""
    k, q = np.tan(np.pi * 1681.974450955533 / rate_hz), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    numerator = np.array(
        [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    )
    denominator = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return numerator, denominator


def _high_pass(rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """The high pass at 38 Hz."""
    k, q = np.tan(np.pi * 38.13547087602444 / rate_hz), 0.5003270373238773
    denominator = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return np.array([1.0, -2.0, 1.0]) * denominator[0], denominator
