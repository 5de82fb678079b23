import numpy as np
import pytest

from engine.families.nano import features as F
from engine.families.nano import synthesis as S

SILENT = -30.0


def rest(frames):
    return np.full((frames, S.BINS), SILENT, np.float32), np.zeros((frames, S.BINS), np.float32)


def one_partial(hz, frames, amplitude=0.5):
    """Log-amplitudes and offsets of a sine in the slot nearest to it."""
    centres, widths = S.slots()
    position = hz * S.N_FFT / F.SAMPLE_RATE_HZ
    slot = np.abs(centres - position).argmin()
    log_amplitude = np.full((frames, S.SLOTS), SILENT, np.float32)
    offset = np.zeros((frames, S.SLOTS), np.float32)
    log_amplitude[:, slot], offset[:, slot] = (
        np.log(amplitude),
        (position - centres[slot]) / widths[slot],
    )
    return log_amplitude, offset


def random_frames(frames):
    random = np.random.default_rng(0)
    return (
        random.standard_normal((frames, S.BINS)).astype(np.float32),
        random.uniform(-3, 3, (frames, S.BINS)).astype(np.float32),
        random.standard_normal((frames, S.SLOTS)).astype(np.float32) - 4,
        random.uniform(-1, 1, (frames, S.SLOTS)).astype(np.float32),
    )


def test_the_inverse_stft_gives_back_what_was_analysed():
    samples = np.random.default_rng(0).standard_normal(40 * F.HOP).astype(np.float32)
    pad = (S.N_FFT - F.HOP) // 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, pad, "reflect"), S.N_FFT)[
        :: F.HOP
    ]
    spectrum = np.fft.rfft(frames * F.hann(S.N_FFT), axis=1)
    residual = S.residual_spectrum(
        np.log(np.abs(spectrum) + 1e-12).astype(np.float32), np.angle(spectrum)
    )
    np.testing.assert_allclose(S.inverse_stft(residual), samples, atol=1e-4)


@pytest.mark.parametrize("hz", [55.0, 61.7, 441.3, 1999.0, 2011.0, 9800.0])
def test_a_partial_is_one_steady_sine_of_its_pitch_and_level(hz):
    sound = S.OverlapAddSynthesizer().process(*rest(300), *one_partial(hz, 300), is_last=True)
    inner = sound[F.SAMPLE_RATE_HZ // 4 : -F.SAMPLE_RATE_HZ // 4]
    time = np.arange(len(inner)) / F.SAMPLE_RATE_HZ
    waves = np.stack([np.sin(2 * np.pi * hz * time), np.cos(2 * np.pi * hz * time)], axis=1)
    weights, *_ = np.linalg.lstsq(waves, inner, rcond=None)
    assert np.hypot(*weights) == pytest.approx(0.5, rel=0.01)
    assert np.std(inner - waves @ weights) < 0.01 * np.std(inner)


@pytest.mark.parametrize("pieces", [(40,), (1, 39), (3, 1, 1, 35), (20, 20), (2,) * 20])
def test_pieces_put_together_equal_the_whole(pieces):
    frames = random_frames(40)
    whole = S.OverlapAddSynthesizer().process(*frames, is_last=True)
    synthesizer, ends = S.OverlapAddSynthesizer(), np.cumsum(pieces)
    spoken = [
        synthesizer.process(*(part[end - size : end] for part in frames), is_last=end == 40)
        for size, end in zip(pieces, ends, strict=True)
    ]
    assert len(whole) == 40 * F.HOP
    np.testing.assert_allclose(np.concatenate(spoken), whole, atol=1e-3 * np.abs(whole).max())


def test_every_slot_lies_within_reach_of_its_neighbours():
    centres, widths = S.slots()
    ordered = np.sort(centres)
    assert len(set(ordered)) == S.SLOTS
    assert (np.diff(ordered) <= 2 * S.OFFSET_LIMIT * widths.min()).all()
