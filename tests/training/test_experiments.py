"""The experiments' own parts, on made-up sounds and a tiny network; the figures are in
docs/experiments.md.
"""

import numpy as np
import pytest
import torch

from engine.families.nano.model import Denoiser, NanoConfig, time_embedding
from evaluation.metrics.judge import Judge
from evaluation.metrics.sound import Sound
from training.experiments import fused, length, page
from training.experiments.knobs import EXPERIMENTS, Case, play
from training.experiments.ledger import Ledger

RATE_HZ = 32_000


class Echo:
    """Gives back what it got."""

    def edit(self, sound, text, knobs):
        return sound


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


@pytest.fixture(scope="module")
def tune():
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    notes = [np.sin(2 * np.pi * hz * time) * np.exp(-3 * time) for hz in (440, 494, 554, 440)]
    return Sound((0.2 * np.concatenate(notes)).astype(np.float32), RATE_HZ)


def test_nothing_is_measured_twice(tmp_path):
    path, asked = tmp_path / "run" / "ledger.jsonl", []
    for _ in range(2):
        ledger = Ledger(path)
        for index in (2, 10, 1):
            ledger(
                f"part/unseen/{index}", lambda index=index: asked.append(index) or {"figure": index}
            )
    assert asked == [2, 10, 1]
    assert [row["figure"] for row in ledger.under("part/unseen/")] == [1, 2, 10]


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    made = Denoiser(NanoConfig(width=32, heads=2, layers=1)).eval()
    torch.nn.init.normal_(made.out.weight)
    return made


def velocity(denoiser, scale):
    random = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=random)  # noqa: E731
    position = torch.arange(12.0).expand(1, -1)
    with torch.no_grad():
        return denoiser(
            draw(1, 12, 48),
            time_embedding(torch.tensor([0.5])),
            draw(1, 5, 384),
            torch.zeros(1, 5),
            draw(1, 12, 32),
            position,
            torch.tensor([scale]),
        )


@pytest.mark.parametrize("keeps_mass", [True, False])
def test_without_a_region_fused_attention_is_the_decoupled_one(denoiser, keeps_mass):
    before, with_region = velocity(denoiser, 0.0), velocity(denoiser, 1.0)
    fused.fuse(denoiser, keeps_mass)
    assert torch.allclose(velocity(denoiser, 0.0), before, atol=1e-4)
    assert not torch.allclose(velocity(denoiser, 1.0), with_region, atol=1e-2)


def fails_at(step):
    """The loss, until this step."""
    loss_of = fused.loss_of

    def fail(denoiser, batch, number):
        if number == step:
            raise KeyboardInterrupt
        return loss_of(denoiser, batch, number)

    return fail


def test_training_goes_on_where_it_stopped(denoiser, tmp_path, monkeypatch):
    monkeypatch.setattr(fused, "SAVE_EVERY", 1)
    random = np.random.default_rng(0)
    rows = {
        "tokens": random.standard_normal((4, 70, 32)),
        "latent": random.standard_normal((4, 70, 48)),
        "label": np.arange(4),
        "score": np.zeros(4, int),
    }

    class Editor:
        def encode_text(self, prompts):
            from engine.families.nano.conditions import TextCondition

            tokens = np.full((3, 384), len(prompts[0][0]), np.float32)
            return TextCondition(tokens, np.zeros(3, np.float32))

    class Family:
        editor = Editor()

    batches, checkpoint = fused.Batches(rows, Family(), 2), tmp_path / "last.pt"
    start = {name: value.clone() for name, value in denoiser.state_dict().items()}
    fused.train(denoiser, batches, 3, tmp_path / "whole.pt")
    whole = denoiser.state_dict()["into.weight"].clone()
    denoiser.load_state_dict(start)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fused, "loss_of", fails_at(2))
        fused.train(denoiser, batches, 3, checkpoint)
    assert torch.load(checkpoint)["step"] == 2
    denoiser.load_state_dict(start)  # what a new process begins with
    fused.train(denoiser, batches, 3, checkpoint)
    assert torch.equal(denoiser.state_dict()["into.weight"], whole)
    assert np.isfinite(fused.measure_held_out_loss(denoiser, batches))


def test_a_setting_that_changes_nothing_scores_as_the_source(judge, tune):
    found = play("steps", Case(tune, "a flute", "flute", "piano", tune), Echo(), judge, 0)
    assert set(found) == {*(setting.label for setting in EXPERIMENTS["steps"]), "true"}
    assert found["4"]["chroma"] == pytest.approx(1.0) and found["4"]["to_many_steps"] == 0


def test_a_click_at_every_border_is_a_seam():
    noise = np.random.default_rng(0).standard_normal(10 * RATE_HZ).astype(np.float32) * 0.01
    clicked = noise.copy()
    clicked[:: RATE_HZ * 2] += 1.0
    borders = np.arange(0, 10, 2.0)
    assert length.seams(noise, borders)["mean"] == pytest.approx(1.0, abs=0.1)
    assert length.seams(clicked, borders)["mean"] > 1.5


def test_two_windows_share_what_lies_between_their_borders():
    begins, ends = length.borders_seconds(60 * RATE_HZ)
    assert len(begins) > 10 and np.all(ends - begins >= 1.28) and ends[-1] < 60


def test_the_last_minute_is_told_beside_the_first():
    rows = [
        {"level_db": level, "centroid_hz": hz, "chroma": 0.9, "to_first_minute": distance}
        for level, hz, distance in ((-20.0, 1000.0, 0.3), (-21.0, 1100.0, 0.4), (-23.0, 500.0, 0.9))
    ]
    found = length.summary(rows)
    assert (found["level_db"], found["centroid"]) == (-3.0, -0.5)
    assert (found["distance_first"], found["distance_last"]) == (0.3, 0.9)


def test_tables_hold_every_setting(tmp_path, judge, tune):
    ledger, case = Ledger(tmp_path / "ledger.jsonl"), Case(tune, "a flute", "flute", "piano", tune)
    ledger("pooling/unseen/0", lambda: play("pooling", case, Echo(), judge, 0))
    path = tmp_path / "page.md"
    path.write_text("<!-- pooling -->\n\n<!-- /pooling -->\n")
    page.write(path, "pooling", ledger)
    assert all(f"\n| {omega} | 0.000" in path.read_text() for omega in (1, 2, 4, 8))
    assert (tmp_path / "pictures" / "experiments-pooling.svg").read_text().startswith("<?xml")
