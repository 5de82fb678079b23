"""Decoupled attention beside a fused one: one softmax over words and region together.

    decoupled   softmax(q k_words) v_words + alpha softmax(q k_region) v_region
    fused       softmax([q k_words, q k_region + log alpha]) [v_words, v_region]

Decoupled is nano's and AP-Adapter's (eq. 5). Both begin as the shipped weights and are trained on
with the same batches and noise. The audio encoder stays frozen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.families.nano import features as F
from engine.families.nano.conditions import stack_conditions
from engine.families.nano.family import WEIGHTS, NanoFamily
from engine.families.nano.model import DecoupledAttention, Denoiser, join, rotate
from evaluation.methods.models import RATE_HZ
from evaluation.metrics.sound import Sound
from training.loop import Loop, Optimisation, ProgressBar, StateFile, part_of
from training.nano.flow import DROP_AUDIO, DROP_TEXT, OMEGA_WEIGHTS, OMEGAS, flow_loss

PLAYERS = 4  # instruments a score
# places in the seeds of training and of tests
TRAIN_FIRST, HELD_FIRST, HELD_SCORES = 60_000, 95_000, 24
CROP_FRAMES = 64  # of 128: half the work
RATE, WARMUP_STEPS, CLIP_NORM = 2e-4, 20, 1.0
SAVE_EVERY = 50
LOOK_BATCHES, LOOK_ROWS = 12, 16
SMALLEST_SCALE = 1e-6  # its logarithm takes the region out of the softmax


class FusedAttention(nn.Module):
    """The projections of a decoupled attention under one softmax.

    `keeps_mass`: weights sum to 1 + alpha, as before.
    """

    def __init__(self, decoupled: DecoupledAttention, keeps_mass: bool) -> None:
        super().__init__()
        self.own, self.keeps_mass = decoupled, keeps_mass

    def forward(
        self,
        x: Tensor,
        text: Tensor,
        text_bias: Tensor,
        audio: Tensor,
        audio_scale: Tensor,
        turn: Tensor,
        audio_turn: Tensor,
        distance: Tensor,
    ) -> Tensor:
        """As DecoupledAttention."""
        own, scale = self.own, audio_scale[:, None, None, None]
        query = own.query(x)
        query = query * query.shape[-1] ** -0.5
        words = query @ own.text_key(text).transpose(-1, -2) + text_bias
        sound = rotate(query, turn) @ rotate(own.audio_key(audio), audio_turn).transpose(-1, -2)
        sound = (
            sound
            - own.log_slope.exp()[:, None, None] * distance
            + scale.clamp(min=SMALLEST_SCALE).log()
        )
        weights = torch.cat([words, sound], dim=-1).softmax(dim=-1)
        values = torch.cat([own.text_value(text), own.audio_value(audio)], dim=2)
        return own.out(join((1 + scale if self.keeps_mass else 1) * (weights @ values)))


def load_shipped(folder: Path = WEIGHTS) -> Denoiser:
    """The shipped denoiser as a module that can learn."""
    from training.worked_example.restore import load_denoiser

    return load_denoiser(folder / "denoiser.onnx").requires_grad_(True)


def fuse(denoiser: Denoiser, keeps_mass: bool) -> Denoiser:
    """The same denoiser, its cross-attentions fused in place."""
    for block in denoiser.blocks:
        block.cross_attention = FusedAttention(block.cross_attention, keeps_mass)
    return denoiser


class NanoWith:
    """nano with another denoiser: a `EditingModel`."""

    def __init__(self, family: NanoFamily, denoiser: Denoiser) -> None:
        editor = family.editor
        self.family = NanoFamily(
            {**editor.runners, "denoiser": self._run}, editor.tokenizer, family.config
        )
        self.denoiser = denoiser.eval()

    @torch.inference_mode()
    def _run(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        names = (
            "latent",
            "time_embedding",
            "text",
            "text_bias",
            "audio",
            "audio_position",
            "audio_scale",
        )
        return (
            self.denoiser(
                *(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in names)
            ).numpy(),
        )

    def edit(self, sound: Sound, text: str, knobs: Mapping[str, Any]) -> Sound:
        return Sound(self.family.transfer(sound.at(RATE_HZ), text, knobs), RATE_HZ)


def render(path: Path, family: NanoFamily, seeds: range) -> dict[str, np.ndarray]:
    """Scores on `PLAYERS` instruments each, kept at `path`.

    Tokens [R, 128, 384] and latents [R, 128, 48] in half precision; label and score [R].
    """
    from tqdm import tqdm

    from evaluation.corpus.instruments import INSTRUMENTS
    from evaluation.corpus.render import TRAINING_SOUNDFONTS, Renderer, find_soundfont
    from evaluation.corpus.scores import make_score

    if path.exists():
        return dict(np.load(path))
    renderers = [Renderer(find_soundfont(name)) for name in TRAINING_SOUNDFONTS]
    rows: dict[str, list] = {name: [] for name in ("tokens", "latent", "label", "score")}
    for seed in tqdm(seeds, desc=path.stem, unit="score"):
        random = np.random.default_rng([0xF05E, seed])
        for label in random.choice(len(INSTRUMENTS), PLAYERS, replace=False):
            mono = renderers[int(random.integers(len(renderers)))].render(
                make_score(seed), INSTRUMENTS[label].program
            )
            heard = F.features(mono * np.float32(F.level_gain(mono)))[None]
            (tokens,), (latent,) = (
                family.editor.runners[stage](features=heard)
                for stage in ("audio_encoder", "codec_encoder")
            )
            for name, value in (
                ("tokens", tokens[0]),
                ("latent", latent[0]),
                ("label", label),
                ("score", seed),
            ):
                rows[name].append(
                    np.asarray(value, np.int32 if name in ("label", "score") else np.float16)
                )
    for renderer in renderers:
        renderer.close()
    arrays = {name: np.stack(values) for name, values in rows.items()}
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]  # taken for allow_pickle
    partial.rename(path)
    return arrays


class Batches:
    """Two instruments playing one score; a batch follows from the number of its step alone."""

    def __init__(self, rows: Mapping[str, np.ndarray], family: NanoFamily, batch: int) -> None:
        from evaluation.corpus.instruments import INSTRUMENTS

        self.rows, self.batch = rows, batch
        self.words = [
            [family.editor.encode_text(((word, 1.0),)) for word in instrument.words]
            for instrument in INSTRUMENTS
        ]
        self.silence = family.editor.encode_text((("", 1.0),))

    def of(self, step: int, drops: bool = True) -> dict[str, Any]:
        """For training.nano.flow.flow_loss, audio encoded already.

        `drops`: as in training, else the plain task.
        """
        random, rows = np.random.default_rng([0xBA7C, step]), self.rows
        targets = random.integers(len(rows["label"]), size=self.batch)
        sources = [
            random.choice(np.flatnonzero(rows["score"] == rows["score"][target]))
            for target in targets
        ]
        first = int(random.integers(rows["latent"].shape[1] - CROP_FRAMES + 1))
        place = slice(first, first + CROP_FRAMES)
        texts = [self.words[rows["label"][target]] for target in targets]
        quiet = (random.random(self.batch) < DROP_TEXT) & drops
        said = [
            self.silence if q else own[random.integers(len(own))]
            for q, own in zip(quiet, texts, strict=True)
        ]
        text, bias = stack_conditions(said)
        hears = (random.random(self.batch) >= DROP_AUDIO) | (not drops)
        return {
            "heard": torch.from_numpy(rows["tokens"][sources, place].astype(np.float32)),
            "latent": torch.from_numpy(rows["latent"][targets, place].astype(np.float32)),
            "text": torch.from_numpy(text),
            "text_bias": torch.from_numpy(bias),
            "audio_scale": torch.from_numpy(hears.astype(np.float32)),
            "omega": int(random.choice(OMEGAS, p=OMEGA_WEIGHTS)) if drops else 1,
        }


def loss_of(denoiser: Denoiser, batch: dict[str, Any], seed: int) -> Tensor:
    """The flow loss with times and noise that follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return flow_loss(denoiser, batch)["loss"]


@torch.no_grad()
def measure_held_out_loss(denoiser: Denoiser, held: Batches) -> float:
    """Mean flow loss on scores that nobody learned from, always the same rows, times and noise."""
    losses = [
        loss_of(denoiser.eval(), held.of(look, drops=False), look) for look in range(LOOK_BATCHES)
    ]
    return float(torch.stack(losses).mean())


def train(denoiser: Denoiser, batches: Batches, steps: int, path: Path) -> None:
    """AdamW on every weight, a short rise, a cosine to 0; goes on from the checkpoint at `path`."""
    optimiser = torch.optim.AdamW(denoiser.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / WARMUP_STEPS)
        return rise * 0.5 * (1 + math.cos(math.pi * step / steps))

    loop = Loop(
        lambda step: {"loss": loss_of(denoiser, batches.of(step), step)},
        Optimisation(denoiser.parameters(), [optimiser], factor, CLIP_NORM),
        steps,
    )
    parts = {"denoiser": part_of(denoiser), "optimiser": part_of(optimiser)}
    checkpoint = StateFile(path, parts, SAVE_EVERY)
    loop.progress.step = checkpoint.load()
    denoiser.train()
    with ProgressBar(f"{path.stem}, learning", loop) as bar:
        loop.callbacks = (bar, checkpoint)
        loop.run()


PAIRS = 12  # played by each variant
TRAINED_ON = ("decoupled", "fused")
VARIANTS: Mapping[str, Callable[[Denoiser], Denoiser]] = {
    "decoupled": lambda denoiser: denoiser,
    "fused, half the mass": lambda denoiser: fuse(denoiser, keeps_mass=False),
    "fused": lambda denoiser: fuse(denoiser, keeps_mass=True),
}
