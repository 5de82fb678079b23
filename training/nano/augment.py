"""What stands between a sampler and a real recording: room, microphone, tape, breath, noise.

Every function takes mono float32 [N] and a NumPy generator, and returns mono; none changes timing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.families.nano.features import SAMPLE_RATE_HZ

GainCurve = Callable[[np.ndarray], np.ndarray]  # of frequencies in Hz


def degrade(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A random chain; each link is as likely as recordings seem to have it."""
    for probability, link in CHAIN:
        if random.random() < probability:
            samples = link(samples, random)
    return samples.astype(np.float32)


def room(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Convolution with decaying noise: reverberation time 0.12 to 1.5 s, wet -26 to -4 dB."""
    seconds = float(np.exp(random.uniform(np.log(0.12), np.log(1.5))))
    return room_of(samples, seconds, random.uniform(0.002, 0.02), random.uniform(-26, -4), random)


def room_of(
    samples: np.ndarray,
    seconds: float,
    pause_seconds: float,
    wet_db: float,
    random: np.random.Generator,
) -> np.ndarray:
    """A room with this reverberation time, silent before its first echo."""
    length = int(seconds * SAMPLE_RATE_HZ)
    impulse = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    impulse[: int(pause_seconds * SAMPLE_RATE_HZ)] = 0
    impulse /= np.sqrt(np.sum(impulse**2))
    return samples + apply_filter(_convolve(samples, impulse), _tilt(random, -4, 0)) * 10 ** (
        wet_db / 20
    )


def equaliser(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A tilt of up to 4 dB an octave and a smooth random curve of up to 9 dB."""
    tilt = _tilt(random, -4, 4)
    knots = random.uniform(-9, 9, 8)

    def gain_db(hz: np.ndarray) -> np.ndarray:
        return tilt(hz) + np.interp(np.log2(np.maximum(hz, 30) / 30), np.linspace(0, 9.1, 8), knots)

    return apply_filter(samples, gain_db)


def band_limit(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A recording that ends at 3.5 to 12 kHz; 7 to 8 kHz (a 16 kHz file) is the commonest."""
    edge_hz = 7800 if random.random() < 0.6 else float(random.uniform(3500, 12_000))
    return apply_filter(samples, lambda hz: -80 * np.clip((hz - edge_hz) / (0.06 * edge_hz), 0, 1))


def noise(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Steady noise, 18 to 55 dB below the signal, tilted like a room's."""
    hiss = apply_filter(random.standard_normal(len(samples)), _tilt(random, -6, 0))
    return samples + hiss * _ratio(samples, hiss, random.uniform(-55, -18))


def breath(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Noise that follows the loudness, as breath and bow do; 12 to 32 dB below."""
    width = SAMPLE_RATE_HZ // 50
    envelope = _convolve(np.abs(samples), np.full(width, 1 / width))
    hiss = apply_filter(random.standard_normal(len(samples)), _tilt(random, -3, 2)) * envelope
    return samples + hiss * _ratio(samples, hiss, random.uniform(-32, -12))


def saturation(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Soft clipping by tanh with 0 to 12 dB of drive."""
    peak = np.abs(samples).max() + 1e-9
    drive = 10 ** (random.uniform(0, 12) / 20)
    return np.tanh(samples / peak * drive) * peak / drive


def clipping(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Cut off at 1 to 9 dB below the peak, as a recording that was too loud."""
    limit = np.abs(samples).max() * 10 ** (random.uniform(-9, -1) / 20)
    return np.clip(samples, -limit, limit)


def dynamics(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Slow level changes of up to 12 dB, and tremolo now and then."""
    time = np.arange(len(samples)) / SAMPLE_RATE_HZ
    points = random.uniform(-12, 0, random.integers(2, 6))
    gain_db = np.interp(
        np.linspace(0, len(points) - 1, len(samples)), np.arange(len(points)), points
    )
    if random.random() < 0.3:
        gain_db = gain_db + random.uniform(0.5, 4) * np.sin(
            2 * np.pi * random.uniform(3.5, 7) * time
        )
    return samples * 10 ** (gain_db / 20)


CHAIN = (
    (0.3, breath),
    (0.25, saturation),
    (0.1, clipping),
    (0.25, dynamics),
    (0.6, equaliser),
    (0.55, room),
    (0.35, band_limit),
    (0.5, noise),
)


def _convolve(samples: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The first N samples of the convolution, by FFT: a causal filter, so nothing moves."""
    size = 1 << (len(samples) + len(kernel) - 2).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float32), size) * np.fft.rfft(
        kernel.astype(np.float32), size
    )
    return np.fft.irfft(spectrum, size)[: len(samples)]


def apply_filter(samples: np.ndarray, gain_db: GainCurve) -> np.ndarray:
    """Zero-phase filtering with `gain_db(frequencies_hz)`."""
    frequencies_hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (gain_db(frequencies_hz) / 20), len(samples))


def _tilt(random: np.random.Generator, low_db: float, high_db: float) -> GainCurve:
    slope_db = random.uniform(low_db, high_db)
    return lambda hz: slope_db * np.log2(np.maximum(hz, 60) / 1000)


def _ratio(samples: np.ndarray, other: np.ndarray, level_db: float) -> float:
    """The gain that puts `other` `level_db` above (below, if negative) `samples`."""
    return np.sqrt(np.mean(samples**2) / (np.mean(other**2) + 1e-12)) * 10 ** (level_db / 20)
