"""Both spectrograms against Kaldi's, transformers' and librosa's."""

import math

import numpy as np
import pytest

from engine.families.audioldm2 import features as F

RATE = F.SAMPLE_RATE_HZ


def music(seconds=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.4 * np.sin(2 * np.pi * 440 * time) + 0.01 * noise + 0.05).astype(np.float32)


def kaldi_by_definition(samples, frame):
    """One frame of torchaudio.compliance.kaldi.fbank (hanning, 128 bands, no dither), by hand."""
    samples = [float(value) for value in samples - samples.mean(dtype=np.float64)]
    piece = samples[160 * frame : 160 * frame + 400]
    mean = sum(piece) / 400
    piece = [value - mean for value in piece]
    piece = [piece[i] - 0.97 * piece[max(0, i - 1)] for i in range(400)]
    piece = [piece[i] * (0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) for i in range(400)]
    power = []
    for bin in range(257):
        real = sum(value * math.cos(2 * math.pi * bin * i / 512) for i, value in enumerate(piece))
        imaginary = sum(
            value * math.sin(2 * math.pi * bin * i / 512) for i, value in enumerate(piece)
        )
        power.append(real**2 + imaginary**2)
    mel = lambda hz: 1127 * math.log(1 + hz / 700)  # noqa: E731
    low, step = mel(20), (mel(8000) - mel(20)) / 129
    energies = []
    for band in range(128):
        left, centre, right = (low + (band + i) * step for i in range(3))
        energy = 0.0
        for bin in range(256):  # Kaldi leaves the bin at half the sampling rate out
            here = mel(bin * RATE / 512)
            if left < here < right:
                weight = (
                    (here - left) / (centre - left)
                    if here <= centre
                    else (right - here) / (right - centre)
                )
                energy += weight * power[bin]
        energies.append(math.log(max(energy, 1.1920928955078125e-07)))
    return energies


@pytest.mark.parametrize("frame", [0, 7])
def test_the_filter_bank_is_kaldis_number_by_number(frame):
    samples = music(0.12)
    np.testing.assert_allclose(
        F.fbank(samples)[frame], kaldi_by_definition(samples, frame), atol=1e-4
    )


def test_the_filter_bank_is_the_one_that_transformers_computes_for_ast():
    transformers = pytest.importorskip("transformers")
    extractor = transformers.ASTFeatureExtractor()
    samples = music(10.0)
    expected = extractor(samples - samples.mean(), sampling_rate=RATE, return_tensors="np")[
        "input_values"
    ][0]
    np.testing.assert_allclose(F.normalise(F.fbank(samples)), expected, atol=2e-4)


def test_ten_seconds_are_998_frames_and_a_window_can_be_filled_exactly():
    assert len(F.fbank(music(10.0))) == 998
    assert len(F.fbank(np.zeros(F.fbank_samples(1024), np.float32))) == 1024


def test_what_is_filled_up_is_loud_as_the_reference_has_it():
    filled = F.normalise(np.zeros((0, 128), np.float32))
    assert filled.shape == (1024, 128)
    assert filled[0, 0] == pytest.approx(0.46703, abs=1e-5)


def test_the_vaes_picture_is_librosas_with_magnitudes():
    librosa = pytest.importorskip("librosa")
    samples = music(1.0)
    mel = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=RATE,
        n_fft=1024,
        hop_length=160,
        n_mels=64,
        fmin=0,
        fmax=8000,
        power=1.0,
        pad_mode="reflect",
    )
    np.testing.assert_allclose(F.log_mel(samples), np.log(np.maximum(mel, 1e-5)).T, atol=1e-4)
