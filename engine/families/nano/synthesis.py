"""How are samples made? From partials and a residual, frame by frame, at 32 kHz.

    partials   478 oscillators, each in its slot  --lobes--+
               log-amplitude, offset from the slot         +-> spectra -> inverse STFT -> samples
    residual   log-magnitude and phase of every bin -------+

An oscillator's phase runs on from frame to frame, so a held note stays one tone. The residual's
phases know nothing of the frame before: they can make attacks, breath and hiss, but blur what is
held.

Sources: one window lobe a partial after Rodet and Depalle 1992; the residual's inverse-STFT head
after Vocos. Numpy alone; training has the same with gradients, held equal by a test.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from engine.families.nano.features import HOP, hann

N_FFT = 1280
BINS = N_FFT // 2 + 1  # 641, 25 Hz apart
FRAMES_HELD = N_FFT // HOP  # a frame sounds in so many hops

# Slots lie every 12.5 Hz up to 2 kHz and every 25 Hz from there to 10 kHz: on whole bins, between
# them, and above. (first, last bin of a group, how far above its bin a slot lies, width of a slot
# in bins)
SLOT_GROUPS = ((1, 80, 0.0, 0.5), (1, 80, 0.5, 0.5), (80, 400, 0.0, 1.0))
SLOTS = sum(last - first for first, last, _, _ in SLOT_GROUPS)  # 478
OFFSET_LIMIT = 1.25  # how far a partial may lie from its slot, in slot widths
# taken off every partial's amplitude, so that the logarithm of none has a value to be learned
AMPLITUDE_FLOOR = 1e-4
BLOCK_FRAMES = 128  # of partials that are written at once: they stay in the processor's cache
# bins either way that a partial is written to: beyond, the lobe of a Hann window is below -50 dB
LOBE_REACH = 3


class OverlapAddSynthesizer:
    """Frames in, samples out, piece by piece: the pieces together equal the whole.

    One object for each sound.
    """

    def __init__(self) -> None:
        self._phases = first_phases()
        self._held = np.zeros((0, BINS), np.complex64)  # frames that still sound in what comes next
        self._given_out = 0  # hops of the held frames that were given out

    def process(
        self,
        log_magnitude: np.ndarray,
        phase: np.ndarray,
        log_amplitude: np.ndarray,
        offset: np.ndarray,
        is_last: bool,
    ) -> np.ndarray:
        """Samples of frames [F, 641] twice and [F, 478] twice.

        They lag two hops behind the frames, until the last piece.
        """
        partials, self._phases = partials_spectrum(log_amplitude, offset, self._phases)
        spectrum = np.concatenate([self._held, partials + residual_spectrum(log_magnitude, phase)])
        end = len(spectrum) if is_last else max(self._given_out, len(spectrum) - FRAMES_HELD // 2)
        samples = inverse_stft(spectrum)[self._given_out * HOP : end * HOP]
        first_held = max(0, len(spectrum) - FRAMES_HELD)
        self._held, self._given_out = spectrum[first_held:], end - first_held
        return samples


def residual_spectrum(log_magnitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Complex spectra [F, 641]."""
    magnitude = np.exp(np.minimum(log_magnitude, 7.0))
    spectrum = np.empty(phase.shape, np.complex64)
    spectrum.real, spectrum.imag = magnitude * np.cos(phase), magnitude * np.sin(phase)
    return spectrum


def partials_spectrum(
    log_amplitude: np.ndarray, offset: np.ndarray, phases_before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Complex spectra [F, 641] of log-amplitudes and offsets in slot widths, both [F, 478].

    Also the phases [478] with which the next frames go on; `phases_before`: of the frame before.
    """
    spectrum = np.empty((len(offset), BINS), np.complex64)
    for first in range(0, len(offset), BLOCK_FRAMES):
        block = slice(first, first + BLOCK_FRAMES)
        phases_before = _write_partials(
            log_amplitude[block], offset[block], phases_before, spectrum[block]
        )
    return spectrum, phases_before


def _write_partials(
    log_amplitude: np.ndarray, offset: np.ndarray, phases_before: np.ndarray, spectrum: np.ndarray
) -> np.ndarray:
    """Fill in the spectra of a block; the phases of its last frame."""
    centres, widths = slots()
    position = centres + offset * widths  # in bins
    # bin k turns k / 4 times a hop
    turns = np.cumsum(position * (HOP / N_FFT), axis=0, dtype=np.float64)
    phase = (2 * np.pi * turns + phases_before) % (2 * np.pi)
    amplitude, angle = (
        np.maximum(np.exp(log_amplitude) - AMPLITUDE_FLOOR, 0),
        phase.astype(np.float32),
    )
    oscillators = amplitude * np.cos(angle), amplitude * np.sin(angle)
    # LOBE_REACH columns more on the left: what a low lobe writes below 0 Hz is cut away
    planes = np.zeros((2, len(offset), LOBE_REACH + BINS), np.float32)
    for group, first in slot_slices():
        beside = position[:, group] - np.arange(
            first, first + group.stop - group.start, dtype=np.float32
        )
        # the first bin less LOBE_REACH, plus the margin
        for column, lobe in enumerate(hann_lobes(beside), first):
            for plane, oscillator in zip(planes, oscillators, strict=True):
                plane[:, column : column + beside.shape[1]] += oscillator[:, group] * lobe
    spectrum.real, spectrum.imag = planes[..., LOBE_REACH:] * lobe_signs()
    return phase[-1]


@lru_cache(maxsize=1)
def slots() -> tuple[np.ndarray, np.ndarray]:
    """Where each slot lies and how wide it is, in bins: [478] twice."""
    centres = [np.arange(first, last) + above for first, last, above, _ in SLOT_GROUPS]
    widths = [np.full(last - first, width) for first, last, _, width in SLOT_GROUPS]
    return np.concatenate(centres).astype(np.float32), np.concatenate(widths).astype(np.float32)


def slot_slices() -> list[tuple[slice, int]]:
    """Each group's slots as a slice, and the bin at or below its first one."""
    ends = np.cumsum([last - first for first, last, _, _ in SLOT_GROUPS]).tolist()
    return [
        (slice(end - last + first, end), first)
        for end, (first, last, _, _) in zip(ends, SLOT_GROUPS, strict=True)
    ]


def first_phases() -> np.ndarray:
    """Where in its turn each slot begins, in radians [478]: spread, and the same in every run."""
    return 2 * np.pi * ((np.arange(SLOTS) * 0.618034) % 1.0)


def lobe_signs() -> np.ndarray:
    """Factors that move lobes from a frame's middle to its first sample: [641]."""
    return (N_FFT / 4 * (1 - 2 * (np.arange(BINS) % 2))).astype(np.float32)


def hann_lobes(beside: Any, xp: Any = np) -> list[Any]:
    """Spectrum of the Hann window at the bins -3 .. 3 for a partial `beside` bins above bin 0.

    At a distance x it is sin(pi x) / (pi x (1 - x^2)): 1 in the middle, 0.5 one bin beside; where
    it would be 0 / 0 the partial is moved by a hundred-thousandth. One sine serves all bins. `xp`:
    numpy, or torch in training.
    """
    nearest = xp.round(beside)
    rest = beside - nearest
    rest = xp.where(xp.abs(rest) < 1e-5, 1e-5, rest)
    sine = xp.sin(np.pi * rest) * ((2 * (nearest % 2) - 1) / np.pi)  # of -pi times beside, over pi
    lobes = []
    for step in range(-LOBE_REACH, LOBE_REACH + 1):
        whole = step - nearest  # the distance is this less `rest`
        lobes.append(
            (1 - 2 * (step % 2)) * sine / ((whole - rest) * (1 - whole + rest) * (1 + whole - rest))
        )
    return lobes


def inverse_stft(spectrum: np.ndarray) -> np.ndarray:
    """Samples [F * 320] from complex spectra [F, 641] by windowed overlap-add.

    The frame k is centred on sample 320 k + 160 ("same" padding, as Vocos), so F frames
    give exactly F hops and nothing has to be cut by the caller.
    """
    pad = (N_FFT - HOP) // 2
    window = hann(N_FFT)
    frames = np.fft.irfft(spectrum, N_FFT, axis=1).astype(np.float32) * window
    signal = _overlap_add(frames)
    envelope = _overlap_add(np.broadcast_to(np.square(window), frames.shape))
    return signal[pad:-pad] / np.maximum(envelope[pad:-pad], 1e-8)


def _overlap_add(frames: np.ndarray) -> np.ndarray:
    """Sum of [F, n] frames laid 320 samples apart: [(F - 1) * 320 + n]; n is a multiple of 320."""
    count, n = frames.shape
    parts = n // HOP
    out = np.zeros((count + parts - 1, HOP), np.float32)
    for part in range(parts):
        out[part : part + count] += frames[:, part * HOP : (part + 1) * HOP]
    return out.reshape(-1)
