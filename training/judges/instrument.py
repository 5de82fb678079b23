"""Trains the evaluation's judge of instruments on true renderings, and reports how good a judge it
is.

    python -m training.judges.instrument --cache runs/judge

Scores come from JUDGE_SEEDS, which neither the model's training nor the examination touches; all
three soundfonts are heard, the unseen one too: the judge may know the sounds that the model has
never met. Writes evaluation/weights/judge.onnx, then asks it about fresh renderings of further
scores and writes judge.json (names, accuracies, commonest mistakes); `--measure` does the latter
alone. Rendering and training each continue where they stopped; about fifteen minutes on one core in
all.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evaluation.corpus.instruments import INSTRUMENTS
from evaluation.corpus.render import SAMPLE_RATE_HZ, SOUNDFONTS, Renderer, find_soundfont
from evaluation.corpus.scores import JUDGE_SEEDS, make_score
from evaluation.metrics.judge import WEIGHTS_FOLDER, WINDOW_FRAMES, Judge, normalise
from evaluation.metrics.mel import MEL_BANDS
from evaluation.metrics.sound import Sound

HELD_OUT_SEEDS = JUDGE_SEEDS[50_000:]  # training takes its scores from the first 30 000
CROP_FRAMES = 256  # 2.56 s: the judge must know a sound from half a region
QUIETEST_PEAK = 1e-3  # a soundfont may lack the notes of a score
BATCH = 32


class JudgeNet(nn.Module):
    """log-mel [B, 64, T] -> logits [B, names]; 2-D, so that a sound is the same sound when
    transposed.
    """

    def __init__(self, names: int, widths: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, kernel, stride in zip(
            (1, *widths[:-1]), widths, (5, 3, 3, 3), (2, 1, 1, 1), strict=True
        ):
            layers += [
                nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
            layers += [nn.MaxPool2d(2)] if stride == 1 else []
        self.body = nn.Sequential(*layers)  # [B, 96, 4, T / 16]
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * 4 * widths[-1], names))

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        heard = self.body(log_mel[:, None]).flatten(1, 2)  # register (4 bands) stays, time goes
        return self.head(torch.cat([heard.mean(-1), heard.amax(-1)], 1))


def render(cache: Path, font: str, scores: int) -> Path:
    """All instruments playing `scores` scores with one soundfont: log_mel [R, 64, T] half, label,
    seed.
    """
    path = cache / f"{font}_{scores}.npz"
    if path.exists():
        return path
    from tqdm import tqdm

    renderer, rows = Renderer(find_soundfont(font)), []
    # other scores for each soundfont: more music heard
    offset = 10_000 * list(SOUNDFONTS).index(font)
    for seed in tqdm(JUDGE_SEEDS[offset : offset + scores], desc=font, unit="score"):
        score = make_score(seed)
        for label, instrument in enumerate(INSTRUMENTS):
            samples = renderer.render(score, instrument.program)
            if np.abs(samples).max() > QUIETEST_PEAK:
                rows.append(
                    (Sound(samples, SAMPLE_RATE_HZ).log_mel.astype(np.float16), label, seed)
                )
    renderer.close()
    log_mel, label, seed = (np.asarray(column) for column in zip(*rows, strict=True))
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, log_mel=log_mel, label=label, seed=seed)
    partial.rename(path)
    return path


def disturbed(batch: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Another microphone: level, tilt, a band edge and a noise floor, all on the log-mel [B, 64, T]
    itself.

    The judge shall hear the instrument, not the polish of a soundfont: stems come out of a codec.
    """

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(batch), *shape, generator=random)

    band = torch.linspace(-1, 1, MEL_BANDS)[None, :, None]
    batch = batch + draw(-0.7, 0.7, 1, 1) + draw(-1, 1, 1, 1) * band
    edge = draw(0.55, 1.6, 1, 1) * 2 - 1  # two in five have one
    batch = torch.where(band > edge, torch.full_like(batch, -11.5), batch)
    floor = draw(-13, -5.5, 1, 1) - 0.8 * (band + 1)
    return torch.logaddexp(batch, floor + 0.4 * torch.randn(batch.shape, generator=random))


def crops(rows: np.ndarray, starts: np.ndarray) -> torch.Tensor:
    """[B, 64, 256] out of [B, 64, T]."""
    parts = [row[:, start : start + CROP_FRAMES] for row, start in zip(rows, starts, strict=True)]
    return torch.from_numpy(np.stack(parts).astype(np.float32))


def train(log_mel: np.ndarray, label: np.ndarray, steps: int, checkpoint: Path) -> JudgeNet:
    """Adam, one cycle; saved every 200 steps and continued from there."""
    from tqdm import tqdm

    torch.manual_seed(0)
    net = JudgeNet(len(INSTRUMENTS))
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        done = state["step"]
        for part, key in ((net, "net"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[key])
    bar = tqdm(range(done, steps), initial=done, total=steps, desc="judge", unit="step")
    for step in bar:
        random, noise = np.random.default_rng([0x10D6E, step]), torch.Generator().manual_seed(step)
        chosen = random.integers(len(label), size=BATCH)
        batch = crops(log_mel[chosen], random.integers(log_mel.shape[2] - CROP_FRAMES, size=BATCH))
        batch = torch.from_numpy(normalise(disturbed(batch, noise).numpy()))
        loss = nn.functional.cross_entropy(
            net(batch), torch.from_numpy(label[chosen]), label_smoothing=0.05
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 20 == 19:
            bar.set_postfix(loss=f"{loss.item():.3f}")
        if step % 200 == 199 or step == steps - 1:
            parts = {
                "net": net.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
            }
            torch.save({"step": step + 1, **parts}, checkpoint.with_suffix(".partial"))
            checkpoint.with_suffix(".partial").rename(checkpoint)
    return net.eval()


def export(net: JudgeNet, path: Path) -> None:
    """One ONNX file; any length of 64 frames and more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net,
        (torch.zeros(1, MEL_BANDS, WINDOW_FRAMES),),
        str(path),
        input_names=["log_mel"],
        output_names=["logits"],
        dynamic_axes={"log_mel": {0: "batch", 2: "frames"}, "logits": {0: "batch"}},
        dynamo=False,
    )


def measure(judge: Judge, font: str, rounds: int) -> tuple[int, list[str]]:
    """Every instrument `rounds` times, each time another score: (renderings asked about, ["oboe for
    clarinet"]).
    """
    renderer, asked, mistakes = Renderer(find_soundfont(font)), 0, []
    scores = iter(HELD_OUT_SEEDS)
    for instrument in rounds * INSTRUMENTS:
        samples = renderer.render(make_score(next(scores)), instrument.program)
        if np.abs(samples).max() > QUIETEST_PEAK:
            asked += 1
            heard = judge.name(Sound(samples, SAMPLE_RATE_HZ))
            mistakes += [f"{heard} for {instrument.name}"] if heard != instrument.name else []
    renderer.close()
    return asked, mistakes


def write_card(
    folder: Path,
    name: str,
    names: Sequence[str],
    measure: Callable[[Judge, str], tuple[int, list[str]]],
) -> None:
    """<name>.json: the names, and how good a judge the graph <name>.onnx is.

    `measure(judge, soundfont)`: how many renderings were heard, and the mistakes in words.
    """
    judge = Judge(tuple(names), {}, folder / f"{name}.onnx")
    card: dict = {
        "names": judge.names,
        "held_out_accuracy": {},
        "held_out_renderings": {},
        "mistakes": {},
    }
    for font in SOUNDFONTS:
        asked, mistakes = measure(judge, font)
        card["held_out_accuracy"][font] = round(1 - len(mistakes) / asked, 4)
        card["held_out_renderings"][font] = asked
        card["mistakes"][font] = dict(Counter(mistakes).most_common(8))
        print(
            f"{font}: {card['held_out_accuracy'][font]:.1%} of {asked} renderings; {card['mistakes'][font]}"
        )
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/judge"), help="renderings and checkpoint"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS_FOLDER)
    parser.add_argument(
        "--scores", type=int, default=75, help="a soundfont, each played by every instrument"
    )
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument(
        "--measure", action="store_true", help="only measure the judge that is there"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="times that each instrument is asked for, a soundfont"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not options.measure:
        sets = [np.load(render(options.cache, font, options.scores)) for font in SOUNDFONTS]
        log_mel, label = (
            np.concatenate([data[name] for data in sets]) for name in ("log_mel", "label")
        )
        net = train(
            log_mel,
            label,
            options.steps,
            options.cache / f"judge_{options.scores}_{options.steps}.pt",
        )
        export(net, options.out / "judge.onnx")
    names = [instrument.name for instrument in INSTRUMENTS]
    write_card(options.out, "judge", names, partial(measure, rounds=options.rounds))


if __name__ == "__main__":
    main()
