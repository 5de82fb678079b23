"""Melody and words both reach the first step.

Before 5.23, releases of transformers dropped both (huggingface/transformers#38635, #45647, #48664).
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.models.musicgen_melody.feature_extraction_musicgen_melody import (
    MusicgenMelodyFeatureExtractor,
)

from engine.families.musicgen.chroma import FFT_SAMPLES, HOP_SAMPLES, chroma, fit_length, no_melody
from engine.families.musicgen.conditions import tokenize
from tests.engine.families.musicgen.test_sampler import decoder_of
from tests.engine.signals import noise, sine

RATE_HZ = 32_000
RISING, FALLING = np.eye(12, dtype=np.float32), np.eye(12, dtype=np.float32)[::-1]


def ours(parts, words, melody):
    start = np.full((4, 1), parts.padding)
    return decoder_of(parts, chroma=melody, prompts=((words, 1.0),)).prefill(0, start)


def theirs(parts, words, melody):
    ids = {
        name: torch.tensor(values) for name, values in tokenize(parts.tokenizer, [words]).items()
    }
    answer = parts.model.generate(
        **ids,
        input_features=torch.from_numpy(melody.copy())[None],
        do_sample=False,
        guidance_scale=3.0,
        max_new_tokens=4,
        return_dict_in_generate=True,
        output_scores=True,
    )
    return answer.scores[0].numpy()


@pytest.mark.parametrize("first_step", [ours, theirs])
def test_melody_and_words_both_reach_the_first_step(melodic, first_step):
    asked = first_step(melodic, "a violin", RISING)
    assert np.abs(asked - first_step(melodic, "a violin", FALLING)).max() > 1e-2
    assert np.abs(asked - first_step(melodic, "a flute", RISING)).max() > 1e-2


def test_our_first_step_is_theirs(melodic):
    np.testing.assert_allclose(
        ours(melodic, "a violin", RISING), theirs(melodic, "a violin", RISING), atol=1e-4
    )


@pytest.mark.parametrize(("frequency_hz", "pitch_class"), [(261.63, 0), (440, 9), (466.16, 10)])
def test_a_tone_is_its_pitch_class_at_every_moment(frequency_hz, pitch_class):
    heard = chroma(sine(RATE_HZ * 3, RATE_HZ, frequency_hz), RATE_HZ)
    assert heard.shape == (3 * RATE_HZ // HOP_SAMPLES + 1, 12)
    assert (heard.argmax(axis=1) == pitch_class).all() and (heard.sum(axis=1) == 1).all()


@pytest.mark.parametrize("count", [3_000, FFT_SAMPLES, 100_001])
def test_chroma_is_what_transformers_extractor_computes(count):
    """Its own method, with torch's spectrogram in place of torchaudio's."""
    from transformers.audio_utils import chroma_filter_bank

    def spectrogram(wave):
        window = torch.hann_window(FFT_SAMPLES)
        return (
            torch.stft(wave, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True).abs()
            ** 2
        )

    filters = torch.from_numpy(chroma_filter_bank(FFT_SAMPLES, 12, RATE_HZ, tuning=0)).float()
    extractor = SimpleNamespace(n_fft=FFT_SAMPLES, spectrogram=spectrogram, chroma_filters=filters)
    mono = noise(count)[:, 0]
    expected = MusicgenMelodyFeatureExtractor._torch_extract_fbank_features(
        extractor, torch.from_numpy(mono)[None]
    )
    np.testing.assert_array_equal(chroma(mono, RATE_HZ), expected[0].numpy())


def test_silence_is_no_melody_and_a_short_melody_comes_again():
    np.testing.assert_array_equal(chroma(np.zeros(50_000, np.float32), RATE_HZ)[:1], no_melody())
    np.testing.assert_array_equal(fit_length(RISING, 15)[12:], RISING[:3])
    # 30 s: what the model was trained with
    assert len(chroma(np.zeros(30 * RATE_HZ, np.float32), RATE_HZ)) == 235
