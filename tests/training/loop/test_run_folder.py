import itertools
import json

import pytest

torch = pytest.importorskip("torch")

from training import loop
from training.loop import run_folder


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(128, 128), torch.nn.GELU(), torch.nn.Linear(128, 1))


def loss_of(module, x):
    return {"loss": (module(x) - x[:, :1]).square().mean()}


def data():
    return (
        torch.randn(16, 128, generator=torch.Generator().manual_seed(i)) for i in itertools.count()
    )


def test_a_run_learns_and_logs(tmp_path):
    loop.run(
        tmp_path,
        net(),
        data(),
        loss_of,
        loop.Schedule(steps=100, learning_rate=1e-2, warmup_steps=5),
    )
    losses = [
        json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()
    ]
    assert len(losses) == 100 // run_folder.LOG_EVERY
    assert losses[-1] < 0.5 * losses[0]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "SAVE_EVERY", 10)
    schedule = loop.Schedule(steps=20, learning_rate=1e-3, warmup_steps=5)
    loop.run(tmp_path / "whole", net(), data(), loss_of, schedule)

    def dies_at(count):
        yield from itertools.islice(data(), count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run(tmp_path / "broken", net(), dies_at(13), loss_of, schedule)
    loop.run(tmp_path / "broken", net(), itertools.islice(data(), 10, None), loss_of, schedule)
    whole, broken = (
        loop.load_average(tmp_path / name, net()).state_dict() for name in ("whole", "broken")
    )
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_the_schedule_warms_up_and_ends_at_a_hundredth():
    schedule = loop.Schedule(steps=1000, learning_rate=1.0, warmup_steps=100)
    assert schedule.factor(0) == pytest.approx(0.01, rel=0.01)
    assert schedule.factor(99) == pytest.approx(1.0, abs=0.03)
    assert schedule.factor(1000) == pytest.approx(0.01)
