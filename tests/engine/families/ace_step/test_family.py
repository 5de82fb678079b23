"""ACE-Step as a family: jobs through `engine.edit`, tasks by checkpoint, missing weights."""

import json

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from engine.editing import EditRequest, edit
from engine.errors import EngineError
from engine.families.ace_step.weights import AceStepWeights, kind_of
from engine.families.registry import FAMILIES, ModelCache
from presets import SHIPPED_FOLDER, Library, resolve
from tests.engine.signals import noise

STEPS = {"steps": 1, "seed": 5}


@pytest.fixture(scope="module")
def model_cache(base_folder):
    return ModelCache(1, base_folder)


@pytest.fixture(scope="module")
def turbo(turbo_folder):
    return ModelCache(1, turbo_folder)


@pytest.fixture
def make(model_cache, tmp_path):
    """make(**fields of the request) -> manifest, of a region with music around it."""
    count = iter(range(100))

    def _make(model_cache=model_cache, channels=2, **fields):
        path, folder = tmp_path / f"in{channels}.wav", tmp_path / f"out{next(count)}"
        soundfile.write(path, noise(60_000, channels), 44_100, subtype="PCM_16")
        folder.mkdir()
        row = {
            "text": "drums",
            "model": "ace_step",
            "knobs": STEPS,
            "start_seconds": 0.25,
            "length_seconds": 0.5,
        }
        return edit(
            EditRequest(str(path), output_dir=str(folder), **{**row, **fields}),
            model_cache=model_cache,
        )

    return _make


def resolve_shipped(name, text="drums"):
    return resolve(Library([SHIPPED_FOLDER]).get(name), text).to_json()


@pytest.mark.parametrize("task", FAMILIES["ace_step"].tasks)
def test_the_shipped_styles_play_and_choose_the_task(make, task):
    preset = resolve_shipped(f"ace_step_{task}")
    manifest = make(preset=preset)
    (stem,) = manifest.stems
    assert (stem["name"], stem["frames"], stem["channels"], stem["rate_hz"]) == (
        task,
        22_050,
        2,
        44_100,
    )
    samples, _ = soundfile.read(stem["path"])
    assert np.abs(samples).max() > 0
    assert (preset["steps"], preset["guidance"]) == (50, 7.0)
    assert any(note.startswith(f"{task}: ACE-Step 1.5 base") for note in manifest.values["notes"])


def test_mono_comes_back_mono_and_the_same_seed_makes_the_same_file(make):
    one_step = {**STEPS, "guidance": 1.0}
    first, second = make(channels=1, knobs=one_step), make(channels=1, knobs=one_step)
    assert first.stems[0]["channels"] == 1 and first.stems[0]["sha256"] == second.stems[0]["sha256"]
    assert (
        make(channels=1, knobs={**one_step, "seed": 6}).stems[0]["sha256"]
        != first.stems[0]["sha256"]
    )


def test_the_manifest_names_the_files_and_the_licence(make):
    values = json.loads(make().path.read_text(encoding="utf-8"))
    assert values["model"]["licence"] == "MIT" and values["runtime"] == "torch"
    assert {"transformer/diffusion_pytorch_model.safetensors", "vae/config.json"} <= set(
        values["model"]["files"]
    )


@pytest.mark.parametrize("task", ["lego", "complete", "extract"])
def test_true_stems_are_refused_on_any_but_the_base_checkpoint(make, turbo, task):
    told = "base checkpoint alone.*is turbo.*hf download ACE-Step/acestep-v15-xl-base"
    with pytest.raises(EngineError, match=told) as error:
        make(model_cache=turbo, preset=resolve_shipped(f"ace_step_{task}"))
    assert error.value.code == "missing_weights"


def test_turbo_covers_and_says_what_it_did_not_use(make, turbo):
    notes = make(
        model_cache=turbo,
        preset=resolve_shipped("ace_step_cover"),
        knobs={**STEPS, "negative": "noise"},
    ).values["notes"]
    assert any("guidance within" in note for note in notes) and any(
        "made for 8" in note for note in notes
    )


def test_repaint_needs_something_about_the_region(make):
    with pytest.raises(EngineError, match="nothing there; send the whole track"):
        make(preset=resolve_shipped("ace_step_repaint"), start_seconds=None, length_seconds=None)


def test_a_style_brings_a_lora_and_the_next_one_does_not_have_it(make, tmp_path):
    plain = make().stems[0]["sha256"]
    path = tmp_path / "lora.safetensors"
    name = "base_model.model.layers.0.self_attn.q_proj"
    torch.manual_seed(0)
    save_file(
        {f"{name}.lora_A.weight": torch.randn(2, 32), f"{name}.lora_B.weight": torch.randn(32, 2)},
        str(path),
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 16}))
    preset = {
        **resolve_shipped("ace_step_cover"),
        "adapters": [{"path": str(path), "weight": 1.0, "sha256": "0" * 64}],
    }
    manifest = make(preset=preset)
    assert manifest.stems[0]["sha256"] != plain
    assert "adapter lora.safetensors" in manifest.values["model"]["files"]
    assert make().stems[0]["sha256"] == plain


def test_missing_weights_are_told_with_command_size_and_licence(tmp_path):
    told = FAMILIES["ace_step"].missing(tmp_path)
    assert f'hf download ACE-Step/acestep-v15-xl-base-diffusers --local-dir "{tmp_path}' in told
    assert "12 GB" in told and "MIT" in told
    with pytest.raises(EngineError, match="nothing is fetched by itself"):
        FAMILIES["ace_step"].load(1, tmp_path)


@pytest.mark.parametrize(
    ("name", "config", "kind"),
    [
        ("acestep-v15-xl-base-diffusers", {}, "base"),
        ("ace_step", {"model_version": "base"}, "base"),
        ("ace_step", {"is_turbo": True}, "turbo"),
        ("my-base", {"model_version": "sft"}, "sft"),
        ("models--ACE-Step--acestep-v15-xl-base-diffusers/snapshots/0a1b", {}, "base"),
        ("ace_step", {}, ""),
    ],
)
def test_a_checkpoints_kind_is_its_configurations_or_its_names(tmp_path, name, config, kind):
    folder = tmp_path / "my database" / name
    (folder / "transformer").mkdir(parents=True)
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    assert kind_of(folder) == kind


def test_a_folder_of_ones_own_plays_before_all_others(tmp_path):
    for name in ("acestep-v15-xl-base-diffusers", "ace_step"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text("{}")
    assert AceStepWeights(tmp_path).base().name == "ace_step"
