"""Embeddings on tiny models of the real classes: fixed windows, the same vectors every time."""

import numpy as np
import pytest

from evaluation.metrics import embeddings
from evaluation.metrics.embeddings import (
    CLAP_WINDOW_SECONDS,
    MelStatistics,
    MissingWeights,
    cut_windows,
    window_starts,
)
from evaluation.metrics.sound import Sound
from tests.evaluation.tiny_clap import save_tiny_clap

RATE_HZ = 48_000


def noise(seconds: float, seed: int = 0) -> Sound:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * 0.1
    return Sound(samples.astype(np.float32), RATE_HZ)


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def clap(request, tmp_path_factory):
    folder = save_tiny_clap(tmp_path_factory.mktemp("clap"), request.param)
    return embeddings.load(str(folder))


@pytest.mark.parametrize(
    ("length", "starts"),
    [(3, [0]), (10, [0]), (20, [0, 10]), (24, [0, 10, 14]), (11, [0, 1]), (30, [0, 10, 20])],
)
def test_windows_begin_where_the_last_one_ended_and_the_last_one_ends_with_the_sound(
    length, starts
):
    assert window_starts(length, 10) == starts


def test_a_long_sound_has_the_same_vectors_every_time(clap):
    sound = noise(23)
    np.random.seed(1)
    first = clap.windows(sound)
    np.random.seed(2)  # CLAP's own extractor crops by this generator
    assert np.array_equal(first, clap.windows(sound))
    assert first.shape == (3, 8) and np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)


def test_the_window_of_a_long_sound_is_the_vector_of_that_part(clap):
    sound = noise(20)
    second = Sound(sound.samples[10 * RATE_HZ :], RATE_HZ)
    assert np.allclose(clap.windows(sound)[1], clap.windows(second)[0], atol=1e-6)


def test_similarity_to_words_is_the_cosine_of_means(clap):
    sound, text = noise(12), clap.text("a violin")
    mean = clap.windows(sound).mean(axis=0)
    assert clap.similarity(sound, "a violin") == pytest.approx(
        mean @ text / np.linalg.norm(mean), abs=1e-6
    )
    assert not np.allclose(clap.text("a flute"), text)


def test_short_sounds_are_left_to_the_extractor_to_repeat(clap):
    assert clap.windows(noise(1)).shape == (1, 8)
    assert [len(part) for part in cut_windows(noise(1), RATE_HZ, CLAP_WINDOW_SECONDS)] == [RATE_HZ]


def test_missing_weights_say_how_to_get_them(tmp_path):
    with pytest.raises(MissingWeights, match="hf download"):
        embeddings.load(str(tmp_path))


def test_any_audio_encoder_of_transformers_will_do(tmp_path):
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    ASTModel(config).save_pretrained(tmp_path)
    ASTFeatureExtractor().save_pretrained(tmp_path)
    encoder = embeddings.load(str(tmp_path))
    assert encoder.windows(noise(12)).shape == (2, 16)
    assert str(tmp_path) in encoder.name


def test_mel_statistics_need_nothing_and_hear_colour():
    dark, bright = noise(3), noise(3)
    dark = Sound(np.convolve(dark.samples, np.ones(50) / 50, "same").astype(np.float32), RATE_HZ)
    rows = MelStatistics().windows(bright)
    assert rows.shape == (3, 128)
    assert np.abs(MelStatistics().windows(dark) - rows).mean() > 0.1
