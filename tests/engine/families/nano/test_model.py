import pytest

torch = pytest.importorskip("torch")

from engine.families.nano import model as M

TINY = M.NanoConfig(width=64, heads=2, layers=2, encoder_layers=1, codec_width=32, codec_layers=1)


def inputs(frames=12, omega=1, scale=1.0, seed=0):
    random = torch.Generator().manual_seed(seed)
    audio, position = M.pool(torch.randn(2, frames, TINY.width, generator=random), omega)
    return {
        "latent": torch.randn(2, frames, M.LATENT_CHANNELS, generator=random),
        "time_embedding": M.time_embedding(torch.tensor([0.2, 0.7])),
        "text": torch.randn(2, 5, M.TEXT_WIDTH, generator=random),
        "text_bias": torch.zeros(2, 5),
        "audio": audio,
        "audio_position": position,
        "audio_scale": torch.full((2,), scale),
    }


@pytest.fixture(scope="module")
def denoiser():
    torch.manual_seed(1)
    made = M.Denoiser(TINY).eval()
    torch.nn.init.normal_(made.out.weight, std=0.1)  # zero at birth
    return made


@torch.inference_mode()
def test_scale_zero_is_the_model_without_an_audio_prompt(denoiser):
    one, two = inputs(scale=0.0), inputs(scale=0.0)
    two["audio"] = torch.randn_like(two["audio"])
    assert torch.equal(denoiser(**one), denoiser(**two))


@torch.inference_mode()
def test_the_audio_prompt_counts_at_scale_one(denoiser):
    one, two = inputs(), inputs()
    two["audio"] = torch.randn_like(two["audio"])
    assert not torch.allclose(denoiser(**one), denoiser(**two), atol=1e-3)


@torch.inference_mode()
def test_padding_words_do_not_count(denoiser):
    one, two = inputs(), inputs()
    for batch, filler in ((one, 1.0), (two, -3.0)):
        batch["text_bias"][:, 3:] = -1e4
        batch["text"][:, 3:] = filler
    torch.testing.assert_close(denoiser(**one), denoiser(**two))


@torch.inference_mode()
def test_the_same_words_twice_at_half_weight_are_the_words_once(denoiser):
    one, two = inputs(), inputs()
    two["text"] = torch.cat([one["text"]] * 2, dim=1)
    two["text_bias"] = torch.full((2, 10), 0.5).log()
    torch.testing.assert_close(denoiser(**one), denoiser(**two), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_only_distances_in_time_matter(denoiser):
    """Rotary positions and the distance penalty are relative, so a window may begin anywhere."""
    query = torch.randn(1, 2, 12, 32)
    key = torch.randn(1, 2, 12, 32)
    scores = []
    for offset in (0.0, 500.0):
        turn = M.rotary(torch.arange(12.0)[None] + offset, 32)
        scores.append(M.rotate(query, turn) @ M.rotate(key, turn).transpose(-1, -2))
    torch.testing.assert_close(*scores, atol=1e-3, rtol=1e-3)


def test_pooling_is_half_mean_half_maximum_at_the_centre_of_its_group():
    tokens = torch.tensor([[[1.0], [3.0], [0.0], [10.0]]])
    pooled, centres = M.pool(tokens, 2)
    assert pooled.flatten().tolist() == [2.5, 7.5]
    assert centres.flatten().tolist() == [0.5, 2.5]


def test_codec_latents_have_unit_variance_by_construction():
    torch.manual_seed(0)
    encoder = M.CodecEncoder(TINY).train()
    latent = encoder(torch.randn(8, 32, M.FEATURE_WIDTH) * 3 + 1)
    torch.testing.assert_close(latent.std((0, 1)), torch.ones(M.LATENT_CHANNELS), atol=0.02, rtol=0)


def test_the_shipped_sizes_are_what_the_model_card_says():
    sizes = {
        cls: sum(p.numel() for p in cls(M.NanoConfig()).parameters())
        for cls in (M.AudioEncoder, M.Denoiser, M.CodecEncoder, M.LatentDecoder)
    }
    assert [round(size / 1e6, 1) for size in sizes.values()] == [5.1, 17.4, 3.1, 9.5]
