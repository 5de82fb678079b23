"""MusicGen on its exported graphs makes torch's stems, with every task, style and soft prompt."""

import numpy as np
import pytest
import soundfile

from engine.editing import EditRequest, edit
from engine.errors import EngineError
from engine.families.registry import ModelCache
from engine.knobs import Knobs
from export import manifest
from presets import SHIPPED_FOLDER, Library, resolve
from presets.style import ResolvedStyle
from tests.engine.signals import sine

SIXTEEN_BITS = 1 / 2**15


@pytest.fixture(scope="module")
def shelves(musicgen_models, tmp_path_factory):
    """The same weights with and without their exports."""
    return ModelCache(1, musicgen_models), ModelCache(
        1, link_weights(musicgen_models, tmp_path_factory.mktemp("bare"))
    )


def link_weights(models, folder):
    for path in models.iterdir():
        if path.name != manifest.FOLDER:
            (folder / path.name).symlink_to(path)
    return folder


def stem_of(model_cache, folder, name, task="generate", **preset):
    source, out = folder / "in.wav", folder / name
    out.mkdir()
    if not source.exists():
        soundfile.write(source, sine(60_000, 44_100, 440), 44_100, subtype="PCM_16")
    style = resolve(Library([SHIPPED_FOLDER]).get(f"musicgen_{task}"), "a violin")
    asked = EditRequest(
        str(source),
        "a violin",
        output_dir=str(out),
        model="musicgen",
        preset={**style.to_json(), **preset},
        knobs={"seed": 5},
        start_seconds=0.55,
        length_seconds=0.3,
    )
    found = edit(asked, model_cache=model_cache)
    return soundfile.read(found.stems[0]["path"])[0], found.values


def both(shelves, folder, **asked):
    return (
        stem_of(model_cache, folder, str(index), **asked)[0]
        for index, model_cache in enumerate(shelves)
    )


@pytest.mark.parametrize("task", ["generate", "continue", "accompaniment"])
def test_every_task_makes_the_same_stem(shelves, tmp_path, task):
    (ours, found), (theirs, expected) = (
        stem_of(model_cache, tmp_path, str(i), task) for i, model_cache in enumerate(shelves)
    )
    assert (found["runtime"], expected["runtime"]) == (
        "ONNX Runtime CPU, exported in float32",
        "torch",
    )
    assert np.abs(ours - theirs).max() <= 2 * SIXTEEN_BITS and np.abs(ours).max() > 0
    assert set(found["model"]["files"]) - set(expected["model"]["files"]) == {"export"}


def test_styles_go_on_and_off_as_peft_puts_them_on(shelves, tmp_path):
    from tests.engine.families.musicgen import tiny

    quiet = tiny.write_lora(tmp_path / "quiet", seed=1, rank=4, alpha=2)
    stable = tiny.write_lora(tmp_path / "stable", seed=2, rank=2, alpha=4, use_rslora=True)
    blend = [{"path": str(quiet), "weight": 0.6}, {"path": str(stable), "weight": -0.3}]
    plain, _ = stem_of(shelves[0], tmp_path, "plain")
    ours, theirs = both(shelves, tmp_path, adapters=blend)
    family, _ = shelves[0].get("musicgen")
    # and never begun
    family.prepare(
        ResolvedStyle(task="accompaniment"), Knobs(0.0, 1, 3.0, "", 1, 5, (("a flute", 1.0),))
    )
    again, _ = stem_of(shelves[0], tmp_path, "again")
    assert np.abs(ours - theirs).max() <= 2 * SIXTEEN_BITS
    assert np.abs(ours - plain).max() > 1e-2
    np.testing.assert_array_equal(again, plain)


def test_a_dora_of_peft_plays_as_on_torch(shelves, tmp_path):
    from tests.engine.families.musicgen import tiny

    dora = tiny.write_lora(tmp_path / "dora", seed=3, rank=2, alpha=2, use_dora=True)
    plain, _ = stem_of(shelves[0], tmp_path, "plain")
    ours, theirs = both(shelves, tmp_path, adapters=[{"path": str(dora), "weight": 0.8}])
    assert np.abs(ours - theirs).max() <= 2 * SIXTEEN_BITS
    assert np.abs(ours - plain).max() > 1e-2


def test_a_style_of_another_size_is_refused(shelves, tmp_path):
    from safetensors.torch import load_file, save_file

    from tests.engine.families.musicgen import tiny

    path = tiny.write_lora(tmp_path / "style")
    wider = {
        name: tensor.repeat(1, 2) if "lora_A" in name else tensor
        for name, tensor in load_file(path).items()
    }
    save_file(wider, str(path))
    with pytest.raises(EngineError, match="another size") as caught:
        stem_of(shelves[0], tmp_path, "refused", adapters=[{"path": str(path), "weight": 1.0}])
    assert caught.value.code == "bad_preset"


def test_learned_words_are_played(shelves, tmp_path):
    import torch

    from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
    from tests.engine.families.musicgen import tiny

    torch.manual_seed(0)
    write_soft_prompt(tmp_path / "words.safetensors", SoftPrompt(torch.randn(30, tiny.TEXT_WIDTH)))
    prompt = {"path": str(tmp_path / "words.safetensors"), "weight": 0.8}
    ours, theirs = both(shelves, tmp_path, soft_prompt=prompt)
    plain, _ = stem_of(shelves[0], tmp_path, "plain")
    assert np.abs(ours - theirs).max() <= 2 * SIXTEEN_BITS
    assert np.abs(ours - plain).max() > 1e-2


def test_a_checkpoint_that_was_not_exported_plays_on_torch(musicgen_models, tmp_path):
    folder = link_weights(musicgen_models, tmp_path)
    (folder / manifest.FOLDER).mkdir()
    for path in (musicgen_models / manifest.FOLDER).iterdir():
        if not manifest.read(path).settings["sizes"]["chroma_frames"]:
            (folder / manifest.FOLDER / path.name).symlink_to(path)
    model_cache, runtimes = ModelCache(1, folder), []
    for task in ("generate", "accompaniment", "generate"):
        _, values = stem_of(model_cache, tmp_path, f"{task} {len(runtimes)}", task)
        runtimes.append(values["runtime"])
    assert runtimes == [
        "ONNX Runtime CPU, exported in float32",
        "torch",
        "ONNX Runtime CPU, exported in float32",
    ]


def test_without_any_export_the_family_itself_is_taken(shelves):
    from engine.families.musicgen import exporting
    from engine.families.musicgen.family import MusicGenFamily

    assert exporting.load(1, shelves[1].models) is None
    assert type(shelves[1].get("musicgen")[0]) is MusicGenFamily


def test_in_int8_the_step_becomes_small_and_what_gives_whole_numbers_stays_exact(
    musicgen_models, tmp_path
):
    from dataclasses import replace

    from engine.families.musicgen import exporting
    from engine.runtimes.exported import open_for_parity
    from export import build

    heard = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    plan = exporting.plan(musicgen_models, heard)
    some = [part for part in plan.stages if part.stage.name in ("codec_encoder", "step")]
    folder = build.build(replace(plan, stages=some), tmp_path, "int8", open_for_parity(1))
    errors = {
        stage: max(row["error"] for row in manifest.read(folder).parity if row["stage"] == stage)
        for stage in ("codec_encoder", "step", "pipeline")
    }
    assert (
        errors["codec_encoder"] == 0 and 1e-4 < errors["step"] < 0.05 and errors["pipeline"] < 0.3
    )
