"""Training an adapter on a tiny AudioLDM2 of the real classes: data, objective, memory, resume,
what comes out.
"""

import json

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
for module in ("transformers", "diffusers"):
    pytest.importorskip(module)

from engine.families.audioldm2 import audiomae, components, features
from engine.families.audioldm2.ap_adapter import read_adapter
from engine.families.audioldm2.weights import AudioLdm2Weights
from presets.style import ResolvedStyle, StyleTensor
from tests.engine.families.audioldm2 import tiny
from training.ap_adapter import __main__ as ap_adapter
from training.ap_adapter import objective as objectives
from training.ap_adapter import windows
from training.ap_adapter.data import DataError, read_captioned
from training.loop import Constant, run_folder

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny.write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for index in range(3):
        samples = 0.2 * np.sin(2 * np.pi * 220 * (index + 1) * np.arange(3 * RATE_HZ) / RATE_HZ)
        soundfile.write(folder / f"{index}.wav", samples, RATE_HZ)
        (folder / f"{index}.txt").write_text(f"a tone, number {index}\n", encoding="utf-8")
    return folder


@pytest.fixture
def objective(models):
    places = AudioLdm2Weights(models)
    torch.manual_seed(0)
    return objectives.Objective(components.load(places.base()), audiomae.read(places.audiomae()))


@pytest.fixture
def batch(objective, recordings):
    torch.manual_seed(1)
    return next(windows.batches(read_captioned(recordings), 2, objective.audiomae.frames))


def loss_of(objective, batch, seed=2):
    torch.manual_seed(seed)
    return objective.loss(objective.trained, batch)["loss"]


# -- data --


def test_captions_lie_beside_the_sounds_or_in_one_list(recordings, tmp_path):
    assert [clip.text for clip in read_captioned(recordings)] == [
        f"a tone, number {index}" for index in range(3)
    ]
    soundfile.write(tmp_path / "x.wav", np.zeros(100), RATE_HZ)
    (tmp_path / "metadata.csv").write_text("file_name,text\nx.wav,a tone\n", encoding="utf-8")
    assert [clip.text for clip in read_captioned(tmp_path)] == ["a tone"]
    (tmp_path / "metadata.jsonl").write_text(
        json.dumps({"file_name": "x.wav", "text": "two"}) + "\n\n", encoding="utf-8"
    )
    assert [clip.text for clip in read_captioned(tmp_path)] == ["two"]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "no sounds"),
        ({"x.wav": ""}, "no caption x.txt"),
        ({"x.wav": "", "x.txt": " "}, "empty caption"),
        ({"metadata.csv": "file_name,text\nx.wav,words\n"}, "x.wav is not there"),
        ({"x.wav": "", "metadata.csv": "file_name,text\nx.wav,\n"}, "no text"),
    ],
)
def test_a_folder_that_will_not_do_is_refused_file_by_file(tmp_path, files, complaint):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        read_captioned(tmp_path)


def test_a_window_is_the_named_part_at_16_khz_and_a_short_file_is_mirrored_not_padded(tmp_path):
    ramp = np.linspace(-0.5, 0.5, 8 * 44_100)
    soundfile.write(tmp_path / "long.wav", np.stack([ramp, ramp], axis=1), 44_100)
    first, last = (windows.window_of(tmp_path / "long.wav", 256, place) for place in (0.0, 1.0))
    assert len(first) == len(last) == features.fbank_samples(256)
    assert first[100] < -0.45 and last[-100] > 0.45
    soundfile.write(
        tmp_path / "short.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 5_000), RATE_HZ
    )
    short = windows.window_of(tmp_path / "short.wav", 256, 0.7)
    assert np.abs(short[-5_000:]).mean() > 0.1
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="cannot be read"):
        windows.window_of(tmp_path / "broken.wav", 256, 0.0)


def test_level_matters_to_audiomae_and_not_to_the_vae():
    samples = (
        np.random.default_rng(0).uniform(-0.5, 0.5, features.fbank_samples(256)).astype(np.float32)
    )
    mel, fbank = windows.pictures_of(samples, 256)
    quiet_mel, quiet_fbank = windows.pictures_of(samples * 0.1, 256)
    assert mel.shape == (256, 64) and fbank.shape == (256, 128)
    assert np.allclose(mel, quiet_mel, atol=1e-3) and quiet_fbank.mean() < fbank.mean() - 0.3


# -- objective --


def test_five_samples_in_a_hundred_lose_their_text_five_their_audio_and_five_both():
    torch.manual_seed(0)
    text, audio = objectives.draw_dropped(100_000)
    shares = [float(lost.float().mean()) for lost in (text & ~audio, audio & ~text, text & audio)]
    assert shares == pytest.approx([0.05, 0.05, 0.05], abs=0.005)


def test_dropped_audio_is_an_empty_filter_bank_and_every_omega_is_drawn(
    objective, batch, monkeypatch
):
    heard, omegas = [], []
    predict = objective.predict

    def listening(noised, times, texts, fbank, omega):
        heard.append((texts, fbank)), omegas.append(omega)
        return predict(noised, times, texts, fbank, omega)

    monkeypatch.setattr(objective, "predict", listening)
    monkeypatch.setattr(
        objectives,
        "draw_dropped",
        lambda count: (torch.tensor([True, False]), torch.tensor([False, True])),
    )
    for seed in range(12):
        loss_of(objective, batch, seed)
    texts, fbank = heard[0]
    assert texts == ["", batch.texts[1]]
    assert torch.equal(fbank[0], batch.fbank[0]) and not fbank[1].any()
    assert set(omegas) == {1, 2, 4, 8}


def test_only_the_adapter_gets_gradients(objective, batch):
    loss_of(objective, batch).backward()
    trained = {id(parameter) for parameter in objective.unet.adapter_parameters()}
    assert {id(p) for p in objective.unet.parameters() if p.grad is not None} == trained
    assert not any(
        p.requires_grad for part in (objective.vae, objective.audiomae) for p in part.parameters()
    )


def test_checkpointing_works_with_a_text_mask_and_changes_no_gradient(objective, batch):
    def gradients():
        objective.unet.zero_grad()
        loss_of(objective, batch).backward()
        return [parameter.grad.clone() for parameter in objective.unet.adapter_parameters()]

    plain = gradients()
    objectives.checkpoint_layers(objective.unet)
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(plain, gradients(), strict=True))


def test_half_precision_is_near_full_precision(objective, batch):
    full = loss_of(objective, batch)
    objective.half = True
    assert float(loss_of(objective, batch)) == pytest.approx(float(full), rel=0.02)


def test_the_recipe_is_the_papers(objective):
    (optimiser,) = objectives.adamw(objective.trained, 1e-4)
    (group,) = optimiser.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"], group["eps"]) == (
        1e-4,
        (0.9, 0.999),
        1e-2,
        1e-8,
    )
    assert Constant(10, 1e-4).factor(0) == Constant(10, 1e-4).factor(9) == 1
    options = ap_adapter._parser().parse_args(["--models", "m", "--out", "o"])
    assert (options.batch * options.accumulate, options.steps, options.learning_rate) == (
        28,
        35_000,
        1e-4,
    )


# -- runs --


def arguments(models, recordings, out, *more):
    return [
        "--data",
        str(recordings),
        "--models",
        str(models),
        "--out",
        str(out),
        "--batch",
        "2",
        "--accumulate",
        "2",
        "--device",
        "cpu",
        "--learning-rate",
        "1e-2",
        *more,
    ]


def test_a_resumed_run_is_the_uninterrupted_one_and_its_adapter_fits_the_family(
    models, recordings, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_folder, "SAVE_EVERY", 1)
    assert (
        ap_adapter.main(
            arguments(models, recordings, tmp_path / "whole", "--steps", "4", "--rotary")
        )
        == 0
    )
    assert (
        ap_adapter.main(
            arguments(models, recordings, tmp_path / "halves", "--steps", "2", "--rotary")
        )
        == 0
    )
    assert (
        ap_adapter.main(
            arguments(models, recordings, tmp_path / "halves", "--steps", "4", "--rotary")
        )
        == 0
    )
    (whole, rotary), (halves, _) = (
        read_adapter(tmp_path / name / ap_adapter.RESULT) for name in ("whole", "halves")
    )
    assert rotary and all(torch.equal(whole[name], halves[name]) for name in whole)

    from engine.families.audioldm2.family import load
    from engine.knobs import resolve

    family = load(1, models)
    family.warm_up()
    style = ResolvedStyle(adapters=(StyleTensor(str(tmp_path / "whole" / ap_adapter.RESULT)),))
    family.prepare(style, resolve("words", {}, None, family_defaults())[0])
    loaded = family._components.unet.adapter_state()
    assert all(torch.equal(loaded[name], whole[name]) for name in whole)


def family_defaults():
    from engine.families.audioldm2.family import defaults

    return defaults()


def test_missing_weights_and_data_are_said(models, recordings, tmp_path, capsys):
    assert ap_adapter.main(arguments(models, tmp_path, tmp_path / "out")) == 1
    assert "no sounds" in capsys.readouterr().err
    assert ap_adapter.main(arguments(tmp_path, recordings, tmp_path / "out")) == 1
    assert "hf download" in capsys.readouterr().err
