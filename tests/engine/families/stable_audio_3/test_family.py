"""Stable Audio 3 as a family: jobs through `engine.edit`, knobs, missing weights."""

import json

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from engine.editing import EditRequest, edit
from engine.errors import EngineError
from engine.families.registry import FAMILIES, ModelCache
from engine.families.stable_audio_3.tasks import TASKS
from presets import SHIPPED_FOLDER, Library, resolve
from tests.engine.signals import noise

STEPS = {"steps": 2, "seed": 5}
STYLES = {"timbre": "timbre", "genre": "genre", "inpaint": "repaint", "continue": "continue"}


@pytest.fixture(scope="module")
def model_cache(distilled_folder):
    return ModelCache(1, distilled_folder)


@pytest.fixture
def make(model_cache, tmp_path):
    """make(**fields of the request) -> manifest, of a region with music around it."""
    count = iter(range(100))

    def _make(model_cache=model_cache, samples=None, channels=2, **fields):
        path, folder = tmp_path / f"in{next(count)}.wav", tmp_path / f"out{next(count)}"
        soundfile.write(
            path, noise(60_000, channels) if samples is None else samples, 44_100, subtype="PCM_24"
        )
        folder.mkdir()
        row = {
            "text": "warm pad",
            "model": "stable_audio_3",
            "knobs": STEPS,
            "start_seconds": 0.4,
            "length_seconds": 0.5,
        }
        return edit(
            EditRequest(str(path), output_dir=str(folder), **{**row, **fields}),
            model_cache=model_cache,
        )

    return _make


def resolve_shipped(name, text="warm pad"):
    return resolve(Library([SHIPPED_FOLDER]).get(f"stable_audio_{name}"), text).to_json()


@pytest.mark.parametrize("name", STYLES)
def test_the_shipped_styles_play_and_choose_the_task_in_stereo(make, name):
    manifest = make(preset=resolve_shipped(name))
    (stem,) = manifest.stems
    assert (stem["name"], stem["frames"], stem["channels"], stem["rate_hz"]) == (
        STYLES[name],
        22_050,
        2,
        44_100,
    )
    samples, _ = soundfile.read(stem["path"])
    assert np.abs(samples[:, 0] - samples[:, 1]).max() > 1e-3
    notes = manifest.values["notes"]
    assert any("distilled" in note for note in notes) and any(
        "guidance within" in note for note in notes
    )
    assert not any(note.startswith("channels") for note in notes)


def test_mono_comes_back_mono_and_the_same_seed_makes_the_same_file(make):
    first, second = make(channels=1), make(channels=1)
    assert first.stems[0]["channels"] == 1 and first.stems[0]["sha256"] == second.stems[0]["sha256"]
    assert (
        make(channels=1, knobs={**STEPS, "seed": 6}).stems[0]["sha256"] != first.stems[0]["sha256"]
    )


def test_a_silent_place_is_filled_from_the_music_before_it(make):
    samples = noise(60_000, 2)
    samples[17_640:] = 0
    (stem,) = make(samples=samples, preset=resolve_shipped("continue")).stems
    filled, _ = soundfile.read(stem["path"])
    assert np.abs(filled).max() > 1e-3


@pytest.mark.parametrize(("name", "where"), [("inpaint", "about"), ("continue", "before")])
def test_a_hole_in_nothing_is_refused(make, name, where):
    with pytest.raises(EngineError, match=f"what lies {where} the region"):
        make(preset=resolve_shipped(name), start_seconds=0.0, length_seconds=None)


def test_a_small_checkpoint_takes_two_minutes_and_a_larger_file_is_told_so(make):
    long = np.zeros((121 * 44_100, 1), np.float32)
    with pytest.raises(EngineError, match="expected at most 120 s"):
        make(samples=long, start_seconds=0.0, length_seconds=121.0)


def test_base_checkpoints_are_guided_and_say_how_many_steps_they_want(make, base_folder):
    model_cache = ModelCache(1, base_folder)
    notes = make(model_cache=model_cache).values["notes"]
    assert any("about 50" in note for note in notes)
    guided, other = (
        make(model_cache=model_cache, knobs={**STEPS, "guidance": guidance})
        for guidance in (1.0, 9.0)
    )
    assert guided.stems[0]["sha256"] != other.stems[0]["sha256"]


def test_a_style_brings_a_lora_with_its_alpha(make, tmp_path):
    plain = make().stems[0]["sha256"]
    path, name = (
        tmp_path / "lora.safetensors",
        "base_model.model.transformer_blocks.0.self_attn.to_out",
    )
    torch.manual_seed(0)
    save_file(
        {f"{name}.lora_A.weight": torch.randn(2, 32), f"{name}.lora_B.weight": torch.randn(32, 2)},
        str(path),
    )
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 16}))
    preset = {
        **resolve_shipped("timbre"),
        "audio_prompt": {},
        "adapters": [{"path": str(path), "sha256": "0" * 64}],
    }
    assert make(preset=preset).stems[0]["sha256"] != plain
    assert make().stems[0]["sha256"] == plain


def test_missing_weights_are_told_with_commands_size_and_the_conditions_of_the_licence(tmp_path):
    family = FAMILIES["stable_audio_3"]
    told = family.missing(tmp_path)
    assert (
        "convert_stable_audio_3_to_diffusers.py" in told
        and str(tmp_path) in told
        and "3.6 GB" in told
    )
    assert "$1,000,000" in told and "Gemma" in told and "hf auth login" in told
    assert family.is_restricted and family.tasks == tuple(TASKS)
    with pytest.raises(EngineError, match="nothing is fetched by itself"):
        family.load(1, tmp_path)
