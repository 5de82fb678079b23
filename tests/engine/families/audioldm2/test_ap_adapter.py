"""AP-Adapter against the paper's formulas and the reference's names and sizes."""

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel

from engine.families.audioldm2.ap_adapter import (
    AdaptedUNet,
    gpt2_attentions,
    pool_positions,
    pool_tokens,
    read_adapter,
    write_adapter,
)
from tests.engine.families.audioldm2 import tiny
from tests.engine.families.audioldm2.published import UNET_BASE, UNET_LARGE

GRID = (64, 8)


def inputs(batch=2, tokens=8, seed=0):
    draw = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(shape, generator=draw)  # noqa: E731
    return {
        "latent": normal(batch, 8, 16, 16),
        "timestep": torch.full((batch,), 500.0),
        "generated": normal(batch, 8, tiny.GPT2_WIDTH),
        "text": normal(batch, 5, tiny.T5_WIDTH),
        "text_mask": torch.ones(batch, 5),
        "audio": normal(batch, tokens, tiny.GPT2_WIDTH),
        "audio_position": torch.arange(tokens, dtype=torch.float32).expand(batch, tokens),
        "audio_scale": torch.full((batch,), 0.5),
    }


@pytest.mark.parametrize(
    ("config", "unet_count", "adapter_count", "tensors"),
    [(UNET_BASE, 346_943_496, 10_813_440, 32), (UNET_LARGE, 718_012_296, 21_626_880, 64)],
    ids=["base", "large"],
)
def test_the_published_sizes_have_the_published_parameter_counts(
    config, unet_count, adapter_count, tensors
):
    with torch.device("meta"):
        unet = AudioLDM2UNet2DConditionModel(**config)
        assert sum(parameter.numel() for parameter in unet.parameters()) == unet_count
        adapted = AdaptedUNet(unet)
    assert sum(parameter.numel() for parameter in adapted.adapter_parameters()) == adapter_count
    assert len(adapted.adapter_state()) == tensors


def test_the_adapters_of_large_have_the_reference_names_and_widths():
    with torch.device("meta"):
        state = AdaptedUNet(AudioLDM2UNet2DConditionModel(**UNET_LARGE)).adapter_state()
    key = "down_blocks.1.attentions.1.transformer_blocks.0.attn2.processor.to_k_ip.weight"
    assert state[key].shape == (256, 768)
    assert {
        name.split(".attentions.")[1].split(".")[0] for name in state if name.startswith("up_")
    } == {"1", "5", "9"}
    assert sorted({tensor.shape[0] for tensor in state.values()}) == [256, 384, 640]


@pytest.mark.parametrize("large", [False, True])
def test_only_attentions_that_read_the_gpt2_context_get_an_adapter(large):
    unet = tiny.tiny_unet(large).eval()
    read = {}

    def remember(name):
        return lambda module, args, kwargs: read.update(
            {name: kwargs.get("encoder_hidden_states", None)}
        )

    for name, module in unet.named_modules():
        if name.endswith("attn2"):
            module.register_forward_pre_hook(remember(name), with_kwargs=True)
    values = inputs()
    AdaptedUNet(unet)(**values)
    hears_gpt2 = {name for name, context in read.items() if context is values["generated"]}
    assert {path for path, _ in gpt2_attentions(unet)} == hears_gpt2


def test_pooling_is_half_mean_half_maximum_over_time_and_frequency():
    tokens = torch.randn(2, 512, 3)
    found = pool_tokens(tokens, GRID, (4, 2))
    picture = tokens.reshape(2, 64, 8, 3)
    cell = picture[:, 4:8, 6:8].reshape(2, 8, 3)
    torch.testing.assert_close(found[:, 1 * 4 + 3], (cell.mean(1) + cell.amax(1)) / 2)


@pytest.mark.parametrize(("omega", "count"), [(1, 512), (2, 128), (4, 32), (8, 8), (3, 22 * 3)])
def test_each_doubling_of_omega_quarters_the_tokens(omega, count):
    assert pool_tokens(torch.zeros(1, 512, 4), GRID, (omega, omega)).shape == (1, count, 4)
    assert pool_positions(GRID, (omega, omega), 4.0).shape == (count,)


def test_a_cell_that_is_not_full_is_pooled_over_what_it_has():
    tokens = torch.ones(1, 512, 1)
    assert pool_tokens(tokens, GRID, (3, 3)).eq(1).all()


def test_positions_are_the_centres_in_latent_frames():
    positions = pool_positions(GRID, (2, 8), 4.0)
    assert positions[:3].tolist() == [3.5, 11.5, 19.5]  # frames 0..7, 8..15, 16..23


def test_alpha_zero_is_the_base_model_exactly(adapted):
    values = inputs()
    base = adapted(**{**values, "audio": None})
    assert adapted(**{**values, "audio_scale": torch.zeros(2)}).equal(base)
    torch.manual_seed(0)
    plain = tiny.tiny_unet().eval()
    expected = plain(
        values["latent"],
        values["timestep"],
        encoder_hidden_states=values["generated"],
        encoder_hidden_states_1=values["text"],
        encoder_attention_mask_1=values["text_mask"],
    ).sample
    assert base.equal(expected)


def test_alpha_acts_per_batch_item(adapted):
    values = {**inputs(), "audio_scale": torch.tensor([0.0, 1.0])}
    both, off = adapted(**values), adapted(**{**values, "audio_scale": torch.zeros(2)})
    torch.testing.assert_close(both[0], off[0])
    assert not torch.allclose(both[1], off[1])


def test_attending_to_audio_is_added_and_not_mixed_into_the_words(adapted):
    attention = next(iter(dict(gpt2_attentions(adapted.unet)).values()))
    adapter = attention.processor
    prompt = adapter._prompt[0]
    draw = torch.Generator().manual_seed(3)
    hidden, text, audio = (
        torch.randn(1, count, width, generator=draw) for count, width in ((6, 16), (8, 16), (4, 16))
    )
    prompt.tokens, prompt.scale = audio, torch.tensor([0.7])
    found = attention(hidden, encoder_hidden_states=text)

    def attend(key, value):
        rows = []
        for head in (slice(0, 8), slice(8, 16)):
            scores = attention.to_q(hidden)[..., head] @ key[..., head].mT / 8**0.5
            rows.append(scores.softmax(-1) @ value[..., head])
        return torch.cat(rows, -1)

    mixed = attend(attention.to_k(text), attention.to_v(text))
    mixed = mixed + 0.7 * attend(adapter.to_k_ip(audio), adapter.to_v_ip(audio))
    torch.testing.assert_close(found, attention.to_out[0](mixed))


def test_an_untrained_adapter_is_a_copy_of_the_frozen_text_projections(adapted):
    adapted.reset_adapter()
    for path, attention in gpt2_attentions(adapted.unet):
        assert adapted.adapters[path].to_k_ip.weight.equal(attention.to_k.weight)
        assert adapted.adapters[path].to_v_ip.weight.equal(attention.to_v.weight)


def test_a_checkpoint_comes_back_as_it_was_written(adapted, tmp_path):
    path = tmp_path / "adapter.safetensors"
    write_adapter(path, adapted.adapter_state(), rotary=True, notes={"steps": "35000"})
    state, rotary = read_adapter(path)
    assert rotary
    other = AdaptedUNet(tiny.tiny_unet())
    other.load_adapter(state)
    assert all(tensor.equal(state[name]) for name, tensor in other.adapter_state().items())


def test_an_adapter_of_another_size_is_refused_and_nothing_changes(adapted):
    before = {name: tensor.clone() for name, tensor in adapted.adapter_state().items()}
    foreign = AdaptedUNet(tiny.tiny_unet(large=True)).adapter_state()
    with pytest.raises(ValueError, match="another size of AudioLDM2"):
        adapted.load_adapter(foreign)
    assert all(tensor.equal(before[name]) for name, tensor in adapted.adapter_state().items())


def test_only_the_adapters_learn():
    adapted = AdaptedUNet(tiny.tiny_unet(), rotary=True).requires_grad_(False)
    for parameter in adapted.adapter_parameters():
        parameter.requires_grad_(True)
    adapted(**inputs()).square().mean().backward()
    learns = {
        name for name, parameter in adapted.unet.named_parameters() if parameter.grad is not None
    }
    assert learns == set(adapted.adapter_state())


def test_rotary_positions_tell_when_a_sound_was_heard():
    torch.manual_seed(0)
    values = inputs()
    shuffled = {**values, "audio": values["audio"].flip(1)}
    for rotary, should_differ in ((False, False), (True, True)):
        torch.manual_seed(0)
        adapted = AdaptedUNet(tiny.tiny_unet(), rotary).eval()
        adapted.load_adapter(tiny.random_adapter(adapted))
        with torch.no_grad():
            differs = not torch.allclose(adapted(**values), adapted(**shuffled), atol=1e-5)
        assert differs == should_differ


def test_a_given_time_embedding_replaces_the_timesteps(adapted):
    values = inputs()
    embedding = adapted.sinusoids(values["timestep"])
    assert adapted(**{**values, "timestep": torch.zeros(2), "time_embedding": embedding}).equal(
        adapted(**values)
    )
