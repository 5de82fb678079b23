"""The inference on tiny models: knobs change it, windows and chunks leave no trace."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import Cancelled
from engine.families.audioldm2 import audiomae, components
from engine.families.audioldm2 import features as F
from engine.families.audioldm2.editor import Editor, vocoder_reach
from engine.families.audioldm2.family import build_editor
from engine.families.audioldm2.stages import STAGES
from engine.families.shared.torch_runner import TorchRunner
from engine.knobs import Knobs
from tests.engine.families.audioldm2 import tiny

WINDOW_SAMPLES = tiny.WINDOW_LATENTS * 640
KNOBS = Knobs(
    strength=0.5,
    pooling=2,
    guidance=7.5,
    negative="a piano",
    steps=2,
    seed=1,
    prompts=(("a violin", 1.0),),
)


@pytest.fixture(scope="module")
def parts(models_folder):
    found = components.load(models_folder / "audioldm2")
    found.unet.load_adapter(tiny.random_adapter(found.unet))
    return found


@pytest.fixture(scope="module")
def editor(parts, models_folder) -> Editor:
    return build_editor(parts, audiomae.read(models_folder / "audiomae.safetensors"), "cpu")


def melody(seconds=2.0):
    time = np.arange(round(seconds * F.SAMPLE_RATE_HZ)) / F.SAMPLE_RATE_HZ
    return (0.3 * np.sin(2 * np.pi * (330 + 110 * np.floor(2 * time)) * time)).astype(np.float32)


def run(editor, mono=None, alpha=None, **changes):
    knobs = replace(KNOBS, **changes)
    return editor.transfer(
        melody() if mono is None else mono, knobs, knobs.strength if alpha is None else alpha
    )


def test_every_stage_of_the_table_takes_and_gives_what_the_table_says(parts, editor):
    sizes = {"B": 2, "L": 5, "S": 10, "A": 4, "T": 16, "M": 64}
    narrow = {512: tiny.CLAP_WIDTH, 1024: tiny.T5_WIDTH, 768: tiny.GPT2_WIDTH, 128: 8}
    audio = {1024: 4 * tiny.WINDOW_LATENTS, 128: 128, 512: 128, 768: tiny.GPT2_WIDTH}
    for stage in STAGES:
        widths = audio if stage.name == "audio_encoder" else narrow

        def shape(port, widths=widths):
            return [sizes.get(axis, widths.get(axis, axis)) for axis in port.axes]

        feed = {port.name: np.ones(shape(port), port.dtype) for port in stage.inputs}
        outputs = editor.runners[stage.name](**feed)
        assert len(outputs) == len(stage.outputs)
        for port, output in zip(stage.outputs, outputs, strict=True):
            expected = [None if isinstance(size, str) else size for size in shape(port)]
            fits = [
                size in (None, found) for size, found in zip(expected, output.shape, strict=True)
            ]
            assert all(fits) or "S" in port.axes, (stage.name, port.name, output.shape)


def test_the_same_seed_is_the_same_sound_and_another_is_not(editor):
    first = run(editor)
    assert first.shape == melody().shape and np.isfinite(first).all()
    assert np.array_equal(first, run(editor))
    assert not np.allclose(first, run(editor, seed=2))


def test_alpha_zero_does_not_hear_the_region(editor):
    other = melody()[::-1].copy()
    assert np.array_equal(run(editor, strength=0.0), run(editor, other, strength=0.0))
    assert not np.allclose(run(editor), run(editor, other))


@torch.no_grad()
def test_alpha_zero_is_diffusers_pipeline(parts, editor, models_folder, monkeypatch):
    from diffusers import AudioLDM2Pipeline, DDIMScheduler
    from transformers import ClapModel, GPT2LMHeadModel

    from engine.families.audioldm2 import sampler

    monkeypatch.setattr(sampler, "SCHEDULERS", sampler.SCHEDULERS[1:])  # DDIM for few steps too
    folder = models_folder / "audioldm2"
    unet = tiny.tiny_unet().eval()
    own = parts.unet.unet.state_dict()
    unet.load_state_dict({name: own[name] for name in unet.state_dict()})
    pipeline = AudioLDM2Pipeline(
        vae=parts.vae,
        text_encoder=ClapModel.from_pretrained(folder / "text_encoder"),
        text_encoder_2=parts.t5,
        projection_model=parts.projection,
        tokenizer=parts.clap_tokenizer,
        tokenizer_2=parts.t5_tokenizer,
        language_model=GPT2LMHeadModel.from_pretrained(folder / "language_model"),
        feature_extractor=None,
        unet=unet,
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        vocoder=parts.vocoder,
    )
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        "a violin",
        negative_prompt="no drums",
        num_inference_steps=3,
        guidance_scale=3.0,
        audio_length_in_s=2.56,
        latents=torch.from_numpy(sampler.noise_for(1, 8, tiny.WINDOW_LATENTS, 16))[None],
    ).audios[0]
    found = run(editor, melody(2.56), strength=0.0, guidance=3.0, negative="no drums", steps=3)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_alpha_omega_and_lambda_each_change_the_sound(editor):
    base = run(editor)
    for change in ({"strength": 1.0}, {"pooling": 8}, {"guidance": 3.0}, {"negative": "drums"}):
        assert not np.allclose(base, run(editor, **change)), change


def test_more_alpha_moves_further_from_the_base_model(editor):
    base = run(editor, strength=0.0)
    distances = [np.linalg.norm(run(editor, strength=alpha) - base) for alpha in (0.1, 0.5)]
    assert 0 < distances[0] < distances[1]


def spy_on(editor, stage):
    """An editor as fresh as after loading, and its calls of a stage."""
    calls, runner = [], editor.runners[stage]
    listening = {**editor.runners, stage: lambda **inputs: calls.append(inputs) or runner(**inputs)}
    return Editor(listening, editor.text, editor.scheduler_config, editor.sizes), calls


def test_lambda_one_leaves_the_negative_words_out(editor):
    assert np.array_equal(run(editor, guidance=1.0), run(editor, guidance=1.0, negative="drums"))


def test_lambda_one_computes_one_half_and_hears_no_silence(editor):
    fresh, calls = spy_on(editor, "unet")
    run(fresh, guidance=1.0)
    assert [len(call["latent"]) for call in calls] == [1, 1] and fresh._null_audio is None


def test_outside_its_interval_guidance_costs_nothing(editor):
    fresh, calls = spy_on(editor, "unet")
    run(fresh, steps=4, guidance_from=0.25, guidance_to=0.75)
    assert [len(call["latent"]) for call in calls] == [1, 2, 2, 1]


def test_silence_is_heard_once_and_pooled_once_for_each_omega(editor):
    fresh, calls = spy_on(editor, "audio_encoder")
    for omega in (2, 2, 4):
        run(fresh, pooling=omega, steps=1)
    assert [bool(call["fbank"].any()) for call in calls] == [True, False]  # the region once, too
    assert {omega: len(null[0]) for omega, null in fresh._pooled_null.items()} == {2: 32, 4: 8}


def test_lambda_zero_hears_only_the_negative_words_and_the_null_audio(editor):
    assert np.array_equal(
        run(editor, guidance=0.0), run(editor, melody()[::-1].copy(), guidance=0.0)
    )


def test_two_equal_prompts_are_one(editor):
    twice = run(editor, prompts=(("a violin", 0.25), ("a violin", 0.75)))
    np.testing.assert_allclose(twice, run(editor), atol=1e-3 * np.abs(twice).max())


def test_null_audio_is_what_audiomae_makes_of_zeros_and_not_zeros(editor, models_folder):
    zeros = torch.zeros(1, 4 * tiny.WINDOW_LATENTS, 128)
    expected = audiomae.read(models_folder / "audiomae.safetensors")(zeros).detach()
    np.testing.assert_allclose(editor.null_audio(), expected, atol=1e-5)
    assert np.abs(editor.null_audio()).max() > 0.1


def test_a_short_region_is_heard_with_what_is_around_it_and_never_with_zeros(editor):
    seen = []
    encoder = editor.runners["audio_encoder"]

    def listen(fbank):
        seen.append(fbank)
        return encoder(fbank=fbank)

    spy_on = Editor(
        {**editor.runners, "audio_encoder": listen},
        editor.text,
        editor.scheduler_config,
        editor.sizes,
    )
    spy_on.encode_audio(melody(0.5))
    zero_energy = (0 - F.AUDIOSET_MEAN) / (2 * F.AUDIOSET_STD)
    assert not np.isclose(seen[0], zero_energy).all(axis=-1).any()


def test_a_long_region_is_walked_in_windows_and_comes_back_whole(editor):
    assert editor.window_samples(WINDOW_SAMPLES) == WINDOW_SAMPLES
    assert editor.window_samples(WINDOW_SAMPLES + 1) == WINDOW_SAMPLES * 7 // 4
    mono = melody(6.0)
    found = run(editor, mono)
    assert found.shape == mono.shape and np.isfinite(found).all()


def test_the_vocoder_in_chunks_is_the_vocoder_in_one_piece(editor):
    mel = np.random.default_rng(0).standard_normal((700, 64)).astype(np.float32)
    (whole,) = editor.runners["vocoder"](mel=mel[None])
    chunked = editor.vocode(mel)
    np.testing.assert_allclose(chunked, whole[0, : 700 * 160], atol=1e-5 * np.abs(whole).max())


def test_the_reach_of_the_published_vocoder():
    from transformers import SpeechT5HifiGanConfig

    config = SpeechT5HifiGanConfig(
        upsample_rates=[5, 4, 2, 2, 2], upsample_kernel_sizes=[16, 16, 8, 4, 4]
    )
    assert 20 <= vocoder_reach(config) <= 40


def test_a_cancel_stops_between_two_steps(editor):
    steps = []

    def progress(stage, fraction):
        steps.append((stage, fraction))

    with pytest.raises(Cancelled):
        cancelled = lambda: len([1 for stage, _ in steps if stage == "generating"]) > 1  # noqa: E731
        editor.transfer(melody(), KNOBS, 0.5, progress, cancelled)
    assert "decoding" not in {stage for stage, _ in steps}


def test_progress_names_the_stages_and_never_goes_back(editor):
    told = []
    editor.transfer(melody(), KNOBS, 0.5, lambda stage, fraction: told.append((stage, fraction)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["encoding", "generating", "decoding"]
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)


def test_memory_that_is_not_there_is_told_by_its_code(parts):
    class Greedy(torch.nn.Module):
        def forward(self, mel):
            raise torch.OutOfMemoryError("CUDA out of memory")

    from engine.errors import EngineError

    runner = TorchRunner(STAGES[-1], Greedy(), "cpu")
    with pytest.raises(EngineError, match="vocoder did not fit") as caught:
        runner(mel=np.zeros((1, 4, 64), np.float32))
    assert caught.value.code == "out_of_memory"
