"""nano from a folder of clips to a preset that its serving family plays, on tiny weights."""

import json
import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("onnx")

from engine import knobs
from engine.errors import EngineError
from presets import load_preset, resolve
from tests.engine.signals import noise
from tests.training.adapt.conftest import flags_of
from training.adapt import cli, config, families, prepare, preset
from training.adapt.models import nano
from training.worked_example.served import Served


@pytest.fixture(scope="module")
def served(models, nano_weights, tmp_path_factory):
    return Served(tmp_path_factory.mktemp("exported"), nano_weights)


def stem(served, path, mono):
    """As a job has it, with a seed of its own."""
    asked = resolve(load_preset(path))
    decided, _ = knobs.resolve("", {"seed": 3}, asked, served.family.defaults)
    job = served.family.prepare(asked, decided)
    return served.family.port(job, lambda *_: None, lambda: False).run(mono).samples


@pytest.mark.parametrize("method", ["lora", "soft_prompt"])
def test_clips_become_a_preset_that_plays_as_it_did_while_it_learned(
    method, data, models, served, tmp_path
):
    flags = {
        "steps": 2,
        "batch": 2,
        **dict.fromkeys(("evaluate_every", "save_every", "sample_every", "samples"), 1),
        "rank": 2,
        "length": 3,
        "learning_rate": 0.1,
        "device": "cpu",
        "sample_seconds": 1.0,
    }
    where = ["--name", "tunes", "--runs", str(tmp_path)]
    assert (
        cli.main(
            ["run", str(data), *where, "--family", "nano", "--method", method, *flags_of(flags)]
        )
        == 0
    )
    run = tmp_path / "tunes"
    asked = json.loads((run / "config.json").read_text(encoding="utf-8"))["config"]
    # its recipe
    assert (asked["weight_decay"], asked["begin"]) == (
        0.0,
        "music" if method == "soft_prompt" else "",
    )
    assert (run / "samples" / "step_000000" / "0.flac").is_file()

    path = run / "preset" / "tunes" / "tunes.yaml"
    found = load_preset(path)
    assert found.model == "nano" and found.prompts[0].text == "zzq tune <style> number 0"
    assert "base: Apache-2.0" in found.licence
    learned, _ = prepare.prepare_run(config.build(flags=asked), data, run, models)
    preset.load_style(learned, path.with_suffix(".safetensors"))
    model, mono = learned.model, noise(30_000)[:, 0]
    model._family.transfer = lambda *_: mono
    learning = model.play(found.prompts[0].text, 1.0, 3, data / "0.wav", learned.adapter.words)[
        :, 0
    ]
    assert np.abs(learning).max() > 0
    np.testing.assert_allclose(
        stem(served, path, mono), learning, atol=2e-4 * np.abs(learning).max()
    )


def test_graphs_that_are_not_ours_are_told(nano_weights, tmp_path):
    shutil.copytree(nano_weights, tmp_path, dirs_exist_ok=True)
    shutil.copyfile(tmp_path / "latent_decoder.onnx", tmp_path / "denoiser.onnx")
    with pytest.raises(EngineError, match=r"denoiser\.onnx.*another version.*install") as error:
        nano.TrainableNano(tmp_path)
    assert error.value.code == "model_damaged"


def test_weights_that_learn_are_reminded_of_what_nano_could_do(data, models):
    model = families.load("nano", models)
    sound, text = (model.features(data / "0.wav"), model.text_features("a violin, 90 BPM, A minor"))
    assert np.array_equal(text["tokens"], model.text_features("a violin")["tokens"])
    rows = []
    model.module.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    model.loss([sound] * 4, [text] * 4, torch.zeros(4, dtype=torch.bool), None)
    model.loss([sound], [text], torch.zeros(1, dtype=torch.bool), None)
    assert rows == [6, 1] and sound["latent"].shape[0] == 4
