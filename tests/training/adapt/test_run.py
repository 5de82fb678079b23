"""Runs on tiny models: resume, pause, early stop, what is kept, what is refused; and the command to
a preset.
"""

import json
import shutil
import signal

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from presets import load_preset
from tests.training.adapt.conftest import flags_of
from training.adapt import cli, config, prepare, preset, run_dir
from training.adapt.config import TrainError
from training.adapt.run import _rate_factor
from training.dataset.clips import DataError
from training.loop import Loop


@pytest.fixture
def run_of(data, models, tmp_path, short):
    def make(name="run", **changes):
        settings = config.build(flags={**short, "family": "musicgen", **changes})
        return prepare.prepare_run(settings, data, tmp_path / name, models)[0]

    return make


def weights(run, name=run_dir.LAST):
    return load_file(run.folder / name)


def newest(run):
    return sorted((run.folder / run_dir.CHECKPOINTS).iterdir())[-1]


def after_step(patch, act):
    """Something happens after each step of the weights, before the loop counts it."""
    step = Loop.step
    patch.setattr(Loop, "step", lambda self: (step(self), act())[0])


def rows(run):
    return [
        json.loads(line)
        for line in (run.folder / run_dir.LOG).read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("family", ["musicgen", "nano"])
def test_a_run_that_was_paused_is_the_uninterrupted_one_bit_for_bit(family, run_of, monkeypatch):
    """With everything that draws: noise, LoRA dropout, dropped words, accumulation, order; and the
    base unchanged.
    """
    more = {
        "family": family,
        "dropout": 0.3,
        "condition_dropout": 0.5,
        "accumulate": 2,
        "patience": 0,
        "save_every": 100,
    }
    whole = run_of("whole", **more)
    base = {
        name: value.clone()
        for name, value in whole.model.module.state_dict().items()
        if "lora" not in name
    }
    assert whole.run() == "finished"

    first = run_of("halves", **more)
    with monkeypatch.context() as patch:
        after_step(
            patch, lambda: first.progress.step == 1 and (first.folder / run_dir.PAUSE).touch()
        )
        outcome = first.run()
    assert (
        outcome == "paused"
        and first.progress.step == 2
        and not (first.folder / run_dir.PAUSE).exists()
    )
    torch.rand(7)  # the world goes on in between
    second = run_of("halves", **more)
    assert second.run() == "finished"

    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(whole).items())
    assert any(value.any() for name, value in weights(whole).items() if "lora_B" in name)
    assert all(
        torch.equal(value, whole.model.module.state_dict()[name]) for name, value in base.items()
    )
    figures = [
        [(row["step"], row.get("loss"), row.get("validation")) for row in rows(run)]
        for run in (whole, second)
    ]
    assert figures[0] == figures[1]


def test_a_signal_saves_and_stops_and_handlers_come_back(run_of, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    run = run_of()
    after_step(monkeypatch, lambda: signal.raise_signal(signal.SIGTERM))
    assert run.run() == "paused" and newest(run).name == "step_000001"
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_stops_early_on_validation_and_keeps_the_best_and_few_checkpoints(run_of, monkeypatch):
    run = run_of(
        steps=30,
        evaluate_every=1,
        save_every=1,
        patience=3,
        learning_rate=0.5,
        least_progress=0.3,
        keep=2,
    )
    assert run.run() == "stopped_early"
    validation = [row["validation"] for row in rows(run) if "validation" in row]
    assert run.progress.without_progress == 3 and len(validation) == run.progress.best_step + 4
    assert run.progress.best == validation[run.progress.best_step]
    assert len(list((run.folder / run_dir.CHECKPOINTS).iterdir())) == 2
    assert (run.folder / run_dir.BEST).is_file() and list(run.folder.glob("tensorboard/**/events*"))


def test_a_checkpoint_holds_what_learns_and_nothing_is_overwritten(run_of, tmp_path):
    run = run_of(steps=1)
    run.run()
    (file,) = newest(run).glob("*.safetensors")
    assert sum(value.numel() for value in load_file(file).values()) == run.adapter.count
    learned = weights(run)
    assert run_of(steps=1).run() == "finished"
    assert all(torch.equal(weights(run)[name], value) for name, value in learned.items())
    (run.folder / run_dir.PRESET).mkdir()
    with pytest.raises(TrainError, match="run_exists.*is done"):
        run_of(steps=1).run()
    with pytest.raises(TrainError, match=r"other settings \(rank 4 -> 8"):
        run_of(steps=1, rank=8).run()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.txt").touch()
    with pytest.raises(TrainError, match="not empty"):
        run_of("mine").run()


def test_the_learning_rate_rises_then_falls_as_a_cosine_to_its_share():
    settings = config.build(
        flags={"warmup": 4, "steps": 24, "last_rate": 0.1, "learning_rate": 1.0 - 1e-9}
    )
    rates = [_rate_factor(settings)(step) for step in range(25)]
    assert rates[0] == 0 and rates[4] == pytest.approx(1) and rates[14] == pytest.approx(0.55)
    assert rates[24] == pytest.approx(0.1)


def test_half_precision_and_checkpointing_learn_too(run_of):
    run = run_of(precision="bf16", checkpointing=True, steps=1)
    assert run.run() == "finished" and all(
        value.dtype == torch.float32 for value in weights(run).values()
    )


def test_dreambooth_learns_beside_general_clips_and_wants_its_word(
    run_of, data, tmp_path, monkeypatch
):
    more = {
        "method": "dreambooth",
        "trigger": "zzq",
        "prior": str(data),
        "prior_weight": 0.5,
        "steps": 1,
    }
    run, sizes = run_of(**more), []
    loss = run.model.loss
    monkeypatch.setattr(
        run.model, "loss", lambda sounds, *rest: (sizes.append(len(sounds)), loss(sounds, *rest))[1]
    )
    assert run.run() == "finished" and sizes.count(2) == 2  # the style's batch and the general one
    with pytest.raises(TrainError, match="captions lack 'qqz'"):
        run_of("other", **{**more, "trigger": "qqz"})
    soundfile.write(tmp_path / "wordless.wav", np.zeros(1000), 16_000)
    with pytest.raises(TrainError, match="has a caption"):
        run_of("other", **{**more, "prior": str(tmp_path)})


def test_dreambooth_on_all_weights_counts_the_general_clips_by_lambda(run_of, data, monkeypatch):
    """Seed 2: L = L_concept + lambda L_prior; what comes out is a whole model, which plays and goes
    off again.
    """
    run = run_of(
        family="audioldm2",
        method="dreambooth",
        inner="full",
        trigger="zzq",
        prior=str(data),
        steps=1,
        prior_weight=0.25,
        learning_rate=1e-3,
        warmup=0,
        evaluate_every=1,
    )
    base = {name: value.clone() for name, value in run.model.module.state_dict().items()}
    loss, step, losses = run.model.loss, Loop.step, []
    monkeypatch.setattr(run.model, "loss", lambda *a: losses.append(loss(*a)) or losses[-1])
    sums = []
    monkeypatch.setattr(
        Loop, "step", lambda self: (losses.clear(), sums.append(step(self)))[1] or sums[-1]
    )
    monkeypatch.setattr(run, "_validation_loss", lambda trained: 0.0)
    assert run.run() == "finished" and len(losses) == 2
    assert [each["loss"] for each in sums] == [
        pytest.approx(float(losses[0].detach()) + 0.25 * float(losses[1].detach()), rel=1e-6)
    ]
    learned = {name: value.clone() for name, value in run.model.module.state_dict().items()}
    assert any(not torch.equal(value, base[name]) for name, value in learned.items())
    preset.load_style(run, run.folder / run_dir.LAST)
    run.adapter.set_active(False)
    assert all(
        torch.equal(value, base[name]) for name, value in run.model.module.state_dict().items()
    )
    run.adapter.set_active(True)
    assert all(
        torch.equal(value, learned[name]) for name, value in run.model.module.state_dict().items()
    )


def test_a_loss_that_is_no_number_ends_the_run_and_a_run_that_will_not_fit_does_not_begin(
    run_of, monkeypatch
):
    from training.loop import memory

    run = run_of("a")
    monkeypatch.setattr(
        run.model, "loss", lambda *_: torch.tensor(float("nan"), requires_grad=True)
    )
    with pytest.raises(TrainError, match="diverged"):
        run.run()
    monkeypatch.setattr(memory, "_free_bytes", lambda device: 1000)
    with pytest.raises(TrainError, match="does_not_fit.*--checkpointing"):
        run_of("b").run()


# -- the command, from a folder to a preset --


def test_the_command_leaves_a_preset_that_loads(data, models, tmp_path, short, capsys, monkeypatch):
    monkeypatch.setattr("training.adapt.models.audioldm2.STEPS", 2)  # of samples to hear
    settings = {**short, "steps": 2, "sample_every": 2, "samples": 1, "sample_seconds": 0.5}
    flags = flags_of(settings)
    argv = [
        "run",
        str(data),
        "--name",
        "fiddle",
        "--runs",
        str(tmp_path),
        "--models",
        str(models),
        "--licence",
        "CC0",
        "--install",
        *flags,
    ]
    assert cli.main(argv, presets=tmp_path / "presets") == 0
    assert "memory in GiB" in capsys.readouterr().out
    folder = tmp_path / "presets" / "fiddle"
    preset = load_preset(folder / "fiddle.yaml")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert preset.model == "audioldm2" and "CC0; base: CC-BY-NC-SA-4.0" in preset.licence
    assert card["data"]["train"] == {"clips": 3, "recordings": 3, "minutes": 0.13}
    assert len(card["data"]["fingerprint"]) == 64
    assert (
        card["hashes"]["fiddle.safetensors"] == preset.adapters[0].sha256
        and card["versions"]["torch"]
    )
    assert "CC-BY-NC-SA" in (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    base, style = (
        soundfile.read(folder / "previews" / f"{name}_0.flac")[0] for name in ("base", "style")
    )
    assert len(base) == 8000 and not np.array_equal(base, style)
    samples = tmp_path / "fiddle" / "samples"
    assert sorted(path.name for path in samples.iterdir()) == ["step_000000", "step_000002"]
    assert np.allclose(soundfile.read(samples / "step_000000" / "0.flac")[0], base, atol=1e-4)
    assert cli.main(argv) == 1 and "is done" in capsys.readouterr().err


def test_what_is_wrong_is_said_before_anything_is_loaded(data, models, tmp_path, capsys):
    assert cli.main(["run", str(data), "--name", "x", "--family", "nano", "--method", "full"]) == 1
    assert "a whole nano is no style" in capsys.readouterr().err
    assert (
        cli.main(
            ["run", str(data), "--name", "x", "--models", str(tmp_path), "--runs", str(tmp_path)]
        )
        == 1
    )
    assert "hf download" in capsys.readouterr().err
    assert (
        cli.main(["run", str(data), "--name", "X y"]) == 1 and "--name" in capsys.readouterr().err
    )
    bare = tmp_path / "bare"
    shutil.copytree(data, bare, ignore=shutil.ignore_patterns("*.jsonl", ".retimbre*"))
    with pytest.raises(DataError, match="not_split"):
        prepare.prepare_run(config.build(), bare, tmp_path / "run", models)
