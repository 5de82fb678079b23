"""From many channels to the one that a mono model hears, and back, with the input's pan and width.

Down: the mean of the channels that sound, each with the polarity that agrees with the loudest one,
so that material in opposite phase does not vanish.

Up, when every channel is a copy of the mix at its own level (mono, panned mono): exactly those
levels. Otherwise per band b and moment t, with M the mix and X_c the channel, in the input:

    level       g = sqrt(|X_c|^2 / |M|^2)                  how loud the channel is beside the mix
    likeness    a = Re(X_c M*) / sqrt(|X_c|^2 |M|^2)       1: a copy of the mix; 0: unrelated
    stem_c      g (a S + p_c sqrt(1 - a^2) D)              S: the new stem, D: S, phase scattered

p_c alternates +1, -1, so in stereo the two D cancel and the mono sum of the stem is the model's own
signal. Only ratios between channels are taken: the input's own colour and envelope never reach the
stem.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SILENT_PEAK = 2.0**-15  # one step of 16 bits (-90 dBFS): dither is silence too
COPY_RESIDUE = 1e-4  # -40 dB: a channel this near to a scaled mix counts as a copy of it
WINDOW_SECONDS = 0.043  # short enough to follow a melody that moves, long enough for bass bands
BAND_EDGES_HZ = (
    0,
    120,
    200,
    300,
    420,
    560,
    750,
    1000,
    1300,
    1700,
    2200,
    2900,
    3800,
    5000,
    6600,
    9000,
    12_000,
    17_000,
)
FLOOR_SHARE = 3e-3  # bands 25 dB below the average band lean towards the average's pan
SCATTER_SECONDS = 0.006  # largest delay between bands of D: width without echo
SCATTER_FROM_HZ = 200.0  # bass stays in the middle
BLOCK_WINDOWS = 256
GAIN_TAPS = np.array([1, 2, 1]) / 4  # 3 hops, 64 ms
LIKENESS_TAPS = np.ones(7) / 7  # 7 hops, 150 ms: a likeness of few samples is a rumour


def polarities(samples: np.ndarray) -> np.ndarray:
    """How each channel of [frames, channels] enters the mix: +1, -1 (inverted), 0 (silent)."""
    products = samples.T @ samples
    powers = np.diag(products)
    loudest = int(np.argmax(powers))
    agrees = products[loudest] >= -0.5 * np.sqrt(powers * powers[loudest])
    return np.where(_is_audible(samples), np.where(agrees, 1.0, -1.0), 0.0)


def downmix(samples: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Mono [frames]: the mean of the channels that sound."""
    return samples @ (signs / max(1.0, np.abs(signs).sum())).astype(np.float32)


def upmix(
    stem: np.ndarray, region: np.ndarray, signs: np.ndarray, rate_hz: int
) -> tuple[np.ndarray, str]:
    """The mono `stem` [frames] spread over channels as `region` [frames, channels] is; and how."""
    if region.shape[1] == 1:
        return stem[:, None], ""
    mix = downmix(region, signs)
    levels = _copy_levels(region, mix)
    if levels is not None:
        return stem[
            :, None
        ] * levels, "channels: the input is one signal at a level per channel, so is the stem"
    stems = _spread(stem, region, signs, rate_hz)
    stems[:, signs == 0] = 0.0
    return stems, "channels: the model is mono; pan, level and width per band follow the input"


def _copy_levels(region: np.ndarray, mix: np.ndarray) -> np.ndarray | None:
    """Level of each channel relative to the mix if all are scaled copies of it, else None:
    [channels].
    """
    mix_power = float(mix @ mix)
    if mix_power <= 0:
        return None
    levels = (mix @ region) / mix_power
    residue = np.einsum("nc,nc->c", region, region) - levels**2 * mix_power
    if residue.max() > COPY_RESIDUE * mix_power:
        return None
    return np.where(_is_audible(region), levels, 0.0).astype(np.float32)


def _is_audible(samples: np.ndarray) -> np.ndarray:
    """Which channels are more than silence (column by column: numpy reduces short rows slowly)."""
    return np.array(
        [
            max(channel.max(initial=0.0), -channel.min(initial=0.0)) > SILENT_PEAK
            for channel in samples.T
        ]
    )


def _spread(stem: np.ndarray, region: np.ndarray, signs: np.ndarray, rate_hz: int) -> np.ndarray:
    size = _window_size(rate_hz)
    bands = _bands(size, rate_hz)
    near, far = _factors(*_measure(region, signs, size, bands), signs)
    scatter = _scatter(size, rate_hz)
    count, channels = region.shape
    hop, windows = size // 2, near.shape[1]
    out = np.zeros(((windows + 1) * hop, channels), np.float32)
    for first in range(0, windows, BLOCK_WINDOWS):
        last = min(windows, first + BLOCK_WINDOWS)
        spectrum = _spectra(stem, size, first, last)
        scattered = spectrum * scatter
        for channel in range(channels):
            own = spectrum * (near[channel, first:last] @ bands) + scattered * (
                far[channel, first:last] @ bands
            )
            frames = np.fft.irfft(own, size, axis=1).astype(np.float32) * _window(size)
            place = out[first * hop : (last + 1) * hop, channel]
            place[:-hop] += frames[:, :hop].reshape(-1)
            place[hop:] += frames[:, hop:].reshape(-1)
    return out[hop : hop + count]


def _measure(
    region: np.ndarray, signs: np.ndarray, size: int, bands: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Level and likeness of each channel beside their mix, both [channels, windows, bands]."""
    windows, channels = _window_count(len(region), size), region.shape[1]
    weights = signs / max(1.0, np.abs(signs).sum())
    own = np.empty((channels, windows, len(bands)), np.float32)
    shared, mixed = np.empty_like(own), np.empty(own.shape[1:], np.float32)
    for first in range(0, windows, BLOCK_WINDOWS):
        part = slice(first, min(windows, first + BLOCK_WINDOWS))
        spectra = [
            _spectra(region[:, channel], size, part.start, part.stop) for channel in range(channels)
        ]
        mix = sum(
            np.float32(weight) * spectrum for weight, spectrum in zip(weights, spectra, strict=True)
        )
        mixed[part] = _power(mix) @ bands.T
        for channel, spectrum in enumerate(spectra):
            own[channel, part] = _power(spectrum) @ bands.T
            shared[channel, part] = (spectrum.real * mix.real + spectrum.imag * mix.imag) @ bands.T
    level = np.sqrt(_lift(_smooth(own, GAIN_TAPS)) / _lift(_smooth(mixed[None], GAIN_TAPS)))
    long_own, long_mixed = _smooth(own, LIKENESS_TAPS), _smooth(mixed[None], LIKENESS_TAPS)
    likeness = _smooth(shared, LIKENESS_TAPS) / np.maximum(np.sqrt(long_own * long_mixed), 1e-20)
    return np.minimum(level, 2.0 * channels), np.clip(likeness, -1.0, 1.0)


def _factors(
    level: np.ndarray, likeness: np.ndarray, signs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of S and of D [channels, windows, bands]; two channels mix down to S alone."""
    active = signs[:, None, None].astype(np.float32)
    count = max(1.0, float(np.abs(signs).sum()))
    partner = np.where(np.cumsum(np.abs(signs)) % 2 == 1, 1.0, -1.0)[:, None, None].astype(
        np.float32
    )
    near = level * likeness * np.abs(active)
    far = level * partner * np.sqrt(1 - likeness * likeness) * np.abs(active)
    near_mix = (active * near).sum(axis=0) / count
    if count == 2:  # with more channels, their levels come first and some of D is left in the mix
        far -= active * (active * far).sum(axis=0) / count
    return near / np.clip(near_mix, 0.5, 2.0), far


def _lift(power: np.ndarray) -> np.ndarray:
    """Power with a floor from neighbours, so that empty bands take their pan from full ones."""
    now = power.mean(axis=2, keepdims=True)
    always = power.mean(axis=(1, 2), keepdims=True)
    return (
        power
        + np.float32(FLOOR_SHARE) * now
        + np.float32(FLOOR_SHARE**2) * always
        + np.float32(1e-20)
    )


def _smooth(values: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Weighted mean over neighbouring windows (axis 1)."""
    reach = len(taps) // 2
    wide = np.pad(values, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    return sum(np.float32(tap) * wide[:, i : i + values.shape[1]] for i, tap in enumerate(taps))


def _spectra(signal: np.ndarray, size: int, first: int, last: int) -> np.ndarray:
    """Spectra of the windows first..last; window k is `size` samples around k size / 2."""
    hop = size // 2
    begin, end = (first - 1) * hop, last * hop
    part = np.asarray(signal[max(0, begin) : max(0, end)], np.float32)
    part = np.pad(part, (max(0, -begin), max(0, end - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(part, size)[::hop]
    return np.fft.rfft(frames * _window(size), axis=1)


def _power(spectrum: np.ndarray) -> np.ndarray:
    return np.square(spectrum.real) + np.square(spectrum.imag)


def _window_size(rate_hz: int) -> int:
    return 2 ** max(6, round(np.log2(WINDOW_SECONDS * rate_hz)))


def _window_count(count: int, size: int) -> int:
    """Every sample lies in two windows."""
    return -(-count // (size // 2)) + 1


@lru_cache(maxsize=8)
def _window(size: int) -> np.ndarray:
    """Half sine: its square, at half overlap, sums to 1."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)


@lru_cache(maxsize=8)
def _bands(size: int, rate_hz: int) -> np.ndarray:
    """Overlapping triangles that sum to 1 at every bin: [bands, size // 2 + 1]."""
    frequencies = np.arange(size // 2 + 1) * rate_hz / size
    edges = [edge for edge in BAND_EDGES_HZ if edge < rate_hz / 2]
    return np.stack(
        [np.interp(frequencies, edges, np.eye(len(edges))[band]) for band in range(len(edges))]
    ).astype(np.float32)


@lru_cache(maxsize=8)
def _scatter(size: int, rate_hz: int) -> np.ndarray:
    """Phase factors of D: a delay for each band, drifting over frequency: [size // 2 + 1]."""
    frequencies = np.arange(size // 2 + 1) * rate_hz / size
    knots = np.array([SCATTER_FROM_HZ * 1.25**step for step in range(24)])
    delays = SCATTER_SECONDS * np.random.default_rng(7).uniform(0, 1, len(knots))
    delay_seconds = np.interp(frequencies, knots, delays, left=0.0)
    phase = 2 * np.pi * np.cumsum(delay_seconds) * rate_hz / size
    return np.exp(-1j * phase).astype(np.complex64)
