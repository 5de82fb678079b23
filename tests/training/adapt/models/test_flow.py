"""ACE-Step and Stable Audio 3 learn the flow that they play, on tiny models of the real classes."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.errors import EngineError
from engine.families.registry import FAMILIES
from presets import load_preset, resolve
from tests.training.adapt.conftest import flags_of
from training.adapt import cli, families
from training.adapt.models import ace_step, stable_audio_3

FLOWS = ("ace_step", "stable_audio_3")


@pytest.fixture(scope="module", params=FLOWS)
def model(request, models):
    return families.load(request.param, models)


def read_condition(model, run):
    """What the transformer was given, row by row of every call."""
    rows = []

    def listen(_, given):
        rows.extend([each[row : row + 1].clone() for each in given] for row in range(len(given[0])))

    hook = model.module.register_forward_pre_hook(listen)
    run()
    hook.remove()
    return rows


def test_what_is_learned_is_what_plays(model, data, monkeypatch):
    """Beside noise and time the transformer hears the same, for the same words and length."""
    monkeypatch.setattr(stable_audio_3, "HOLES", 0.0)
    sound, said = model.features(data / "0.wav"), model.text_features("a zzq tune")
    frames = max(sound["latent"].shape)
    seconds = frames * model._editor.sizes.frame_samples / model.rate_hz
    if isinstance(model, ace_step.TrainableAceStep):
        # mirrored: no shorter ones were trained on
        assert seconds == 10 and sound["latent"].shape == (250, 4)
        said = {
            "context": model._editor.context(ace_step.WORDS_ALONE, "a zzq tune", int(seconds))[0]
        }
    taught = read_condition(
        model, lambda: model.loss([sound], [said], torch.zeros(1, dtype=torch.bool), None)
    )
    played = read_condition(model, lambda: model.play("a zzq tune", seconds, 0, data / "0.wav"))
    (one,) = taught
    assert one[0].shape == played[0][0].shape and len(one) == len(played[0])
    for ours, theirs in zip(one[-2:], played[0][-2:], strict=True):
        assert torch.allclose(ours.float(), theirs.float(), atol=1e-5)
    unsaid = read_condition(
        model, lambda: model.loss([sound], [said], torch.ones(1, dtype=torch.bool), None)
    )
    index = 3 if isinstance(model, ace_step.TrainableAceStep) else 2
    avoided = [call[index] for call in played if not torch.equal(call[index], played[0][index])]
    assert torch.allclose(unsaid[0][index], avoided[0], atol=1e-5)


def test_a_perfect_velocity_has_no_loss(model, data, monkeypatch):
    sound, said = model.features(data / "0.wav"), model.text_features("x")
    clip = torch.from_numpy(sound["latent"])[None]
    monkeypatch.setattr(model, "velocity", lambda latent, time, *_: (latent - clip) / time)
    assert float(model.loss([sound] * 3, [said] * 3, torch.zeros(3, dtype=torch.bool), None)) < 1e-6


def test_times_lie_between_sound_and_noise_as_the_authors_draw_them(models, monkeypatch):
    torch.manual_seed(0)
    ace, stable = (families.load(name, models) for name in FLOWS)
    times = {
        name: torch.cat([each.draw_time() for _ in range(2000)])
        for name, each in (("ace", ace), ("stable", stable))
    }
    assert all(((drawn > 0) & (drawn <= 1)).all() for drawn in times.values())
    assert times["ace"].median() == pytest.approx(
        float(torch.sigmoid(torch.tensor(-0.4))), abs=0.03
    )
    assert times["stable"].median() == pytest.approx(0.54, abs=0.03)
    monkeypatch.setattr(ace, "kind", "turbo")
    assert {round(float(ace.draw_time()), 4) for _ in range(200)} == set(ace_step.TURBO_TIMES)


def test_one_clip_in_ten_of_stable_audio_has_a_hole_and_one_goes_on(models):
    torch.manual_seed(0)
    drawn = [stable_audio_3.frames_that_stay(20) for _ in range(500)]
    assert 0.75 < np.mean([not stays.any() for stays in drawn]) < 0.85
    assert all((stays == 0).any() for stays in drawn) and any(
        stays[0] and stays[-1] for stays in drawn
    )
    model = families.load("stable_audio_3", models)
    clip, said = torch.randn(1, 8, 20), model.text_features("x")
    told = {name: torch.from_numpy(values)[None] for name, values in said.items()}
    (heard,) = read_condition(model, lambda: model.velocity(clip, torch.ones(1), told, clip))
    kept = next(each for each in heard if each.shape == (1, 9, 20))
    assert torch.equal(kept[:, 1:], clip * kept[:, :1])


def test_styles_of_stable_audio_want_a_base_checkpoint(tmp_path):
    from tests.engine.families.stable_audio_3 import tiny

    tiny.write_repository(tmp_path / "stable_audio_3", distilled=True)
    with pytest.raises(
        EngineError, match="trained on a base checkpoint.*small-music-base.*3.6 GB"
    ) as error:
        stable_audio_3.load(tmp_path)
    assert error.value.code == "missing_weights"


@pytest.mark.parametrize("family", FLOWS)
def test_a_run_leaves_a_preset_that_the_family_wears(family, data, models, short, tmp_path, capsys):
    flags = {
        **short,
        "steps": 1,
        "evaluate_every": 1,
        "sample_seconds": 0.5,
        "targets": "time",
        "checkpointing": True,
    }
    said = [
        part
        for name, value in flags.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    said[said.index("--checkpointing") + 1 :] = []
    where = ["--models", str(models), "--runs", str(tmp_path), "--name", "x"]
    assert cli.main(["run", str(data), "--family", family, *where, *said]) == 0, (
        capsys.readouterr().err
    )
    preset = resolve(load_preset(tmp_path / "x" / "preset" / "x" / "x.yaml"), "a tune")
    loaded = FAMILIES[family].load(1, models)
    loaded.warm_up()
    from engine.knobs import resolve as knobs_of

    job = loaded.prepare(
        preset, knobs_of("a tune", {"seed": 1}, preset, FAMILIES[family].defaults)[0]
    )
    assert any("x.safetensors, weight 1" in note for note in job.notes)


def test_a_lora_with_its_authors_names_is_brought_in_played_and_handed_on_or_refused(
    models, tmp_path, capsys
):
    from tests.engine.families.ace_step.tiny import tiny_transformer

    def import_lora(name, layer, width):
        path = tmp_path / name
        path.mkdir()
        factors = {"A": torch.randn(2, 32), "B": torch.randn(width, 2)}
        names = {part: f"base_model.model.{layer}.lora_{part}.weight" for part in factors}
        tensors = {names[part]: value for part, value in factors.items()}
        save_file(tensors, str(path / "adapter_model.safetensors"))
        (path / "adapter_config.json").write_text(
            json.dumps({"r": 2, "lora_alpha": 16}), encoding="utf-8"
        )
        options = {"name": name, "family": "ace_step", "licence": "MIT", "models": models}
        out = {"out": tmp_path / "out"}
        return cli.main(["import", str(path), *flags_of({**options, **out})])

    assert import_lora("theirs", "layers.0.self_attn.q_proj", 32) == 0
    preset = resolve(load_preset(tmp_path / "out" / "theirs" / "theirs.yaml"), "a tune")
    family = FAMILIES["ace_step"].load(1, models)
    family.warm_up()
    from engine.knobs import resolve as knobs_of

    knobs, _ = knobs_of("a tune", {"seed": 1}, preset, FAMILIES["ace_step"].defaults)
    family.prepare(preset, knobs)
    layer = family.loaded.editor.runners["transformer"].module.transformer.get_submodule(
        "layers.0.self_attn.to_q"
    )
    assert np.isclose(next(iter(layer.scaling.values())), 8)
    style, folder = tmp_path / "out" / "theirs" / "theirs.safetensors", tmp_path / "for_diffusers"
    assert cli.main(["export", str(style), str(folder), "--form", "diffusers"]) == 0
    transformer = tiny_transformer()
    transformer.load_lora_adapter(
        str(folder), prefix="transformer", use_safetensors=True, adapter_name="x"
    )
    theirs = transformer.get_submodule("layers.0.self_attn.to_q")
    assert torch.allclose(
        theirs.get_delta_weight("x"), layer.get_delta_weight(next(iter(layer.scaling))), atol=1e-5
    )
    assert (
        import_lora("others", "down_blocks.0.attn1.to_q", 32) == 1
        and "no_match" in capsys.readouterr().err
    )
