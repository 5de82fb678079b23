"""AudioLDM2 on its exported graphs makes torch's stems under the same contract."""

import numpy as np
import pytest
import soundfile

from engine.editing import EditRequest, edit
from engine.errors import EngineError
from engine.families.registry import ModelCache
from export import manifest
from presets.style import ResolvedStyle
from tests.engine.signals import noise

STEPS = {"steps": 2, "seed": 5}


def stem_of(model_cache, folder, name, **fields):
    source, out = folder / "in.wav", folder / name
    out.mkdir()
    if not source.exists():
        soundfile.write(source, noise(30_000, channels=2), 44_100, subtype="PCM_16")
    row = {"text": "a violin", "model": "audioldm2", "knobs": STEPS}
    found = edit(
        EditRequest(str(source), output_dir=str(out), **{**row, **fields}), model_cache=model_cache
    )
    return soundfile.read(found.stems[0]["path"])[0], found


@pytest.fixture(scope="module")
def shelves(ldm_models, tmp_path_factory):
    """The same weights with and without their export."""
    bare = tmp_path_factory.mktemp("bare")
    for path in ldm_models.iterdir():
        if path.name != manifest.FOLDER:
            (bare / path.name).symlink_to(path)
    return ModelCache(1, ldm_models), ModelCache(1, bare)


def test_an_exported_family_makes_the_same_stem_under_the_same_contract(shelves, tmp_path):
    (ours, found), (theirs, expected) = (
        stem_of(model_cache, tmp_path, str(index)) for index, model_cache in enumerate(shelves)
    )
    assert (found.values["runtime"], expected.values["runtime"]) == (
        "ONNX Runtime CPU, exported in float32",
        "torch",
    )
    assert np.abs(ours - theirs).max() <= 2 / 2**15  # 16 bits in the file
    assert set(expected.values["model"]["files"]) < set(found.values["model"]["files"])
    assert "non-commercial" in found.values["model"]["licence"]


def test_a_preset_brings_another_adapter_to_the_same_graphs(shelves, ldm_models, tmp_path):
    from engine.families.audioldm2.ap_adapter import read_adapter, write_adapter

    state, _ = read_adapter(ldm_models / "ap_adapter.safetensors")
    own = tmp_path / "own.safetensors"
    write_adapter(own, {name: tensor.flip(0) for name, tensor in state.items()})
    preset = {"adapters": [{"path": str(own), "weight": 1.0, "sha256": "0" * 64}]}
    (ours, _), (theirs, _) = (
        stem_of(model_cache, tmp_path, str(i), preset=preset)
        for i, model_cache in enumerate(shelves)
    )
    plain, _ = stem_of(shelves[0], tmp_path, "plain")
    assert np.abs(ours - theirs).max() <= 2 / 2**15
    assert np.abs(ours - plain).max() > 1e-2


def test_an_adapter_that_does_not_fit_is_refused_by_name(shelves, ldm_models, tmp_path):
    from engine.families.audioldm2.ap_adapter import read_adapter, write_adapter

    state, _ = read_adapter(ldm_models / "ap_adapter.safetensors")
    write_adapter(tmp_path / "turned.safetensors", state, rotary=True)
    state.pop(next(iter(state)))
    write_adapter(tmp_path / "less.safetensors", state)
    for name, words in (("less", "another size"), ("turned", "rotary")):
        preset = {"adapters": [{"path": str(tmp_path / f"{name}.safetensors"), "weight": 1.0}]}
        with pytest.raises(EngineError, match=words) as caught:
            stem_of(shelves[0], tmp_path, name, preset=preset)
        assert caught.value.code == "bad_preset"


@pytest.mark.parametrize(("placeholder", "text"), [("", "a violin"), ("<it>", "<it>, a violin")])
def test_learned_words_play_before_the_words_and_in_their_place(
    shelves, tmp_path, placeholder, text
):
    import torch

    from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
    from tests.engine.families.audioldm2 import tiny

    torch.manual_seed(0)
    path = write_soft_prompt(
        tmp_path / "words.safetensors", SoftPrompt(torch.randn(3, tiny.T5_WIDTH), placeholder)
    )
    preset = {
        "soft_prompt": {"path": str(path), "weight": 1.0},
        "prompts": [{"text": "{text}", "weight": 1.0}],
    }
    (ours, _), (theirs, _) = (
        stem_of(model_cache, tmp_path, str(index), preset=preset, text=text)
        for index, model_cache in enumerate(shelves)
    )
    plain, _ = stem_of(shelves[0], tmp_path, "plain", text=text)
    assert np.abs(ours - theirs).max() <= 2 / 2**15
    assert np.abs(ours - plain).max() > 1e-3


def test_what_words_and_audio_give_is_made_once_an_edit(shelves, tmp_path):
    family, _ = shelves[0].get("audioldm2")
    stem_of(shelves[0], tmp_path, "first")
    unet, calls = family._runners["unet"], []
    run = unet.prefill

    class Counted:
        stage = run.stage

        def __call__(self, **inputs):
            calls.append(1)
            return run(**inputs)

    unet.prefill = Counted()
    unet._cache.clear()
    stem_of(shelves[0], tmp_path, "second", knobs={"steps": 4, "seed": 5})
    unet.prefill = run
    assert len(calls) == 1


def test_alpha_zero_does_not_depend_on_the_source(shelves, region):
    family, _ = shelves[0].get("audioldm2")
    unet = family._runners["unet"]
    draw = np.random.default_rng(0)
    feed = {
        name: draw.standard_normal(
            [{"B": 2, "T": 16, "L": 5, "A": 8}.get(axis, axis) for axis in axes]
        )
        for name, axes, _ in (*unet.row.step.inputs, *unet.row.prefill.inputs)
        if not name.startswith(("lora_", "/", "unet."))
    }
    feed = {name: feed[name].astype(np.float32) for name in feed} | {
        "audio_scale": np.zeros(2, np.float32)
    }
    for name, width in (("generated", 16), ("audio", 16), ("text", 24), ("time_embedding", 8)):
        feed[name] = feed[name][..., :width]
    (one,), (other,) = unet(**feed), unet(**{**feed, "audio": feed["audio"][:, ::-1] * 3})
    assert np.array_equal(one, other)


def test_beside_int8_the_decoders_run_in_bfloat16_where_the_processor_has_it(
    ldm_models, region, monkeypatch
):
    from dataclasses import replace

    from engine.families.audioldm2 import decoders, exporting
    from engine.families.shared.torch_runner import TorchRunner
    from engine.knobs import Knobs
    from engine.runtimes.exported import ExportedRunner

    knobs, stems = Knobs(0.5, 2, 3.0, "", 2, 7, (("a violin", 1.0),)), []
    for is_quick, kind in ((True, TorchRunner), (False, ExportedRunner)):
        monkeypatch.setattr(decoders, "is_quick", lambda is_quick=is_quick: is_quick)
        family = exporting.load(1, ldm_models)
        settings = {**family.manifest.settings, "bfloat16": list(decoders.HALVED)}
        family.manifest = replace(family.manifest, precision="int8", settings=settings)
        family.warm_up()
        family.prepare(ResolvedStyle(), knobs)
        assert all(type(family.editor.runners[name]) is kind for name in decoders.HALVED)
        stems.append(family.editor.transfer(region, knobs, 0.5))
    assert 0 < np.abs(stems[0] - stems[1]).max() < 0.1 * np.abs(stems[1]).max()
