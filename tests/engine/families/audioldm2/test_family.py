"""AudioLDM2 as a family: jobs through `engine.edit`, adapters, missing weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.editing import EditRequest, edit
from engine.errors import Cancelled, EngineError
from engine.families.audioldm2.ap_adapter import read_adapter, write_adapter
from engine.families.registry import FAMILIES, ModelCache, family_named
from presets import SHIPPED_FOLDER, Library, resolve
from tests.engine.signals import noise

STEPS = {"steps": 2, "seed": 5}


@pytest.fixture(scope="module")
def model_cache(models_folder):
    return ModelCache(1, models_folder)


@pytest.fixture
def make(model_cache, tmp_path):
    """make(**fields of the request) -> manifest, of a stereo region with music around it."""
    path = tmp_path / "in.wav"
    soundfile.write(path, noise(60_000, channels=2), 44_100, subtype="PCM_16")
    count = iter(range(100))

    def _make(model_cache=model_cache, **fields):
        folder = tmp_path / f"out{next(count)}"
        folder.mkdir()
        row = {
            "text": "a violin",
            "model": "audioldm2",
            "knobs": STEPS,
            "start_seconds": 0.25,
            "length_seconds": 0.5,
        }
        return edit(
            EditRequest(str(path), output_dir=str(folder), **{**row, **fields}),
            model_cache=model_cache,
        )

    return _make


def resolve_shipped(name, text="a violin"):
    return resolve(Library([SHIPPED_FOLDER]).get(name), text).to_json()


def test_a_stem_drops_into_the_place_of_its_region(make):
    manifest = make()
    (stem,) = manifest.stems
    assert (stem["frames"], stem["channels"], stem["rate_hz"], stem["subtype"]) == (
        22_050,
        2,
        44_100,
        "PCM_16",
    )
    samples, _ = soundfile.read(stem["path"])
    assert samples.shape == (22_050, 2) and np.abs(samples).max() > 0


def test_the_manifest_says_what_ran_on_which_files_under_which_licence(make):
    values = json.loads(make().path.read_text(encoding="utf-8"))
    assert (values["runtime"], values["device"]) == ("torch", "cpu, 1 threads")
    assert "non-commercial" in values["model"]["licence"]
    assert {"audiomae.safetensors", "adapter", "unet/diffusion_pytorch_model.safetensors"} <= set(
        values["model"]["files"]
    )
    assert {"torch", "diffusers", "transformers"} <= set(values["versions"])
    assert any("DPM-Solver++" in note for note in values["notes"])


def test_the_same_seed_makes_the_same_file(make):
    hashes = {make().stems[0]["sha256"] for _ in range(2)}
    assert len(hashes) == 1
    assert make(knobs={**STEPS, "seed": 6}).stems[0]["sha256"] not in hashes


@pytest.mark.parametrize(
    ("name", "omega", "alpha", "guidance", "negative"),
    [
        ("audioldm2_timbre", 2, 0.5, 7.5, ""),
        ("audioldm2_genre", 4, 0.55, 9.5, "Low quality"),
        ("audioldm2_accompaniment", 2, 0.5, 7.5, "solo"),
    ],
)
def test_the_shipped_styles_have_the_papers_settings_and_play(
    make, name, omega, alpha, guidance, negative
):
    knobs = make(preset=resolve_shipped(name), knobs=STEPS).values["knobs"]
    assert (knobs["pooling"], knobs["strength"], knobs["guidance"], knobs["negative"]) == (
        omega,
        alpha,
        guidance,
        negative,
    )
    assert resolve_shipped(name)["steps"] == 50


def test_a_duet_is_called_a_duet_in_the_manifest_and_in_the_style(make):
    manifest = make(preset=resolve_shipped("audioldm2_accompaniment"))
    assert manifest.stems[0]["name"] == "accompaniment"
    assert any("duet" in note and "mute the source" in note for note in manifest.values["notes"])
    assert "duet" in Library([SHIPPED_FOLDER]).get("audioldm2_accompaniment").description


def adapter_row(path, weight=1.0):
    return {"path": str(path), "weight": weight, "sha256": "0" * 64}


def test_a_preset_brings_its_own_adapter_and_the_next_one_does_not_have_it(
    make, models_folder, tmp_path
):
    state, _ = read_adapter(models_folder / "ap_adapter.safetensors")
    own = tmp_path / "own.safetensors"
    write_adapter(own, {name: tensor.flip(0) for name, tensor in state.items()})
    plain = make().stems[0]["sha256"]
    preset = {**resolve_shipped("audioldm2_timbre"), "adapters": [adapter_row(own)]}
    assert make(preset=preset).stems[0]["sha256"] != plain
    assert make().stems[0]["sha256"] == plain


def test_an_adapters_weight_scales_alpha(make, models_folder):
    half = [adapter_row(models_folder / "ap_adapter.safetensors", 0.5)]
    preset = {**resolve_shipped("audioldm2_timbre"), "adapters": half}
    weighted = make(preset=preset, knobs={**STEPS, "strength": 1.0})
    plain = make(preset=resolve_shipped("audioldm2_timbre"), knobs={**STEPS, "strength": 0.5})
    assert weighted.stems[0]["sha256"] == plain.stems[0]["sha256"]


def test_two_adapters_at_a_time_are_refused(make):
    preset = {
        **resolve_shipped("audioldm2_timbre"),
        "adapters": [adapter_row("a.safetensors"), adapter_row("b.safetensors")],
    }
    with pytest.raises(EngineError, match="one AP-Adapter at a time") as caught:
        make(preset=preset)
    assert caught.value.code == "bad_preset"


def test_an_adapter_for_another_size_is_a_bad_preset(make, models_folder, tmp_path):
    state, _ = read_adapter(models_folder / "ap_adapter.safetensors")
    state.pop(next(iter(state)))
    write_adapter(tmp_path / "less.safetensors", state)
    preset = {
        **resolve_shipped("audioldm2_timbre"),
        "adapters": [adapter_row(tmp_path / "less.safetensors")],
    }
    with pytest.raises(EngineError, match="another size") as caught:
        make(preset=preset)
    assert caught.value.code == "bad_preset"
    make()  # and the next edit has its adapter again


def test_missing_weights_fail_with_command_size_and_licence(make, tmp_path):
    with pytest.raises(EngineError) as caught:
        make(model_cache=ModelCache(1, tmp_path / "nothing"))
    assert caught.value.code == "missing_weights"
    for part in (
        "hf download cvssp/audioldm2-large",
        "6 GB",
        "343 MB",
        "non-commercial",
        "retimbre models convert",
    ):
        assert part in caught.value.message
    assert len(caught.value.message) <= 900  # as much as a /fail may say


def test_a_missing_adapter_alone_is_named_alone(make, models_folder, tmp_path):
    folder = shutil.copytree(models_folder, tmp_path / "models")
    adapter = (folder / "ap_adapter.safetensors").rename(tmp_path / "own.safetensors")
    model_cache = ModelCache(1, folder)
    with pytest.raises(EngineError, match="AP-Adapter") as caught:
        make(model_cache=model_cache)
    assert caught.value.code == "missing_weights" and "cvssp" not in caught.value.message
    make(
        model_cache=model_cache,
        preset={**resolve_shipped("audioldm2_timbre"), "adapters": [adapter_row(adapter)]},
    )


def test_the_family_tells_what_it_lacks_before_anything_is_loaded(tmp_path, models_folder):
    family = family_named("audioldm2")
    assert "hf download" in family.missing(tmp_path)
    assert family.missing(models_folder) == ""
    assert family.is_restricted and not FAMILIES["nano"].is_restricted


def test_a_cancel_is_heard_while_loading(models_folder):
    family = family_named("audioldm2").load(1, models_folder)
    asked = []
    with pytest.raises(Cancelled):
        family.warm_up(lambda: len(asked.append(0) or asked) > 3, lambda stage, fraction: None)
    told = []
    family.warm_up(lambda: False, lambda stage, fraction: told.append(stage))
    assert set(told) == {"loading"}


def test_a_licence_that_forbids_is_logged_at_load(models_folder, caplog):
    ModelCache(1, models_folder).warm("audioldm2", lambda: False, lambda stage, fraction: None)
    assert "non-commercial" in caplog.text


def test_an_unloaded_family_gives_its_parts_back(models_folder):
    model_cache = ModelCache(1, models_folder)
    family = model_cache.warm("audioldm2", lambda: False, lambda stage, fraction: None)
    model_cache.drop("audioldm2")
    assert family._editor is None and not model_cache.is_loaded("audioldm2")


def test_large_and_base_are_both_found(tmp_path):
    from engine.families.audioldm2.weights import AudioLdm2Weights

    for name in ("audioldm2", "audioldm2-large"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text("{}")
        assert AudioLdm2Weights(tmp_path).base() == tmp_path / name
    assert AudioLdm2Weights(Path("nowhere")).find("audiomae.safetensors") is None


def test_a_large_repository_plays_too(tmp_path, make):
    from tests.engine.families.audioldm2.tiny import write_models

    assert (
        make(model_cache=ModelCache(1, write_models(tmp_path / "large", large=True))).stems[0][
            "frames"
        ]
        == 22_050
    )


def test_a_repository_in_the_hub_cache_is_found_without_a_network(tmp_path, monkeypatch):
    from huggingface_hub import constants

    from engine.families.audioldm2.weights import AudioLdm2Weights

    repository = tmp_path / "models--cvssp--audioldm2-music"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    (snapshot / "model_index.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert AudioLdm2Weights(None).base() == snapshot
