"""Train the audio encoder and the denoiser on aligned pairs.

    python -m training.nano.transformer --data runs/data --codec runs/codec --out runs/transformer

The source and the target are two instruments playing one score; the words name the target. Loss:
the velocity of the rectified flow at logit-normal times (Esser et al. 2024). Pooling omega is drawn
per batch; words, audio or both are dropped now and then so that guidance and the bare text model
exist.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.families.nano import features as F
from engine.families.nano.model import AudioEncoder, Denoiser, NanoConfig
from training.loop import Schedule, load_average, run
from training.nano.adjectives import PLAIN
from training.nano.codec import FeatureCodec
from training.nano.data import SOURCE_ONLY, from_bytes, shard_folders
from training.nano.feature_augmentation import augment_features
from training.nano.flow import (
    DROP_AUDIO,
    DROP_BOTH,
    DROP_TEXT,
    OMEGA_WEIGHTS,
    OMEGAS,
    SAME_INSTRUMENT,
    flow_loss,
)
from training.nano.phrases import Phrasebook

# of sources, where the arranger's guide is among them: it is all that nano hears of a new part
GUIDE = 0.4
# of a target that an adjective describes, to a plain one's 1: there are few of each
ADJECTIVE_WEIGHT = 3.0
GAIN_DB = 6.0
SHARES = {"solo": 0.55, "drums": 0.25, "parts": 0.2}  # of the kinds of shards, where there are all


class Transformer(nn.Module):
    """What is trained together."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.audio_encoder, self.denoiser = AudioEncoder(config), Denoiser(config)


class Pairs:
    """Aligned pairs from all shards; latents are computed once, by the frozen codec."""

    def __init__(self, root: Path, encoder: nn.Module, batch: int, seed: int) -> None:
        folders = shard_folders(root)
        self.heard = [np.load(folder / "heard.npy", mmap_mode="r") for folder in folders]
        self.label = [np.load(folder / "label.npy") for folder in folders]
        self.adjective = [np.load(folder / "colour.npy") for folder in folders]
        self.score = [np.load(folder / "score.npy") for folder in folders]
        self.latent = [latents(folder, encoder) for folder in folders]
        self.wanted = [
            target_weights(label, adjective)
            for label, adjective in zip(self.label, self.adjective, strict=True)
        ]
        self.share = shard_weights([folder.name for folder in folders])
        # as a score's last row
        self.has_guide = [not folder.name.startswith("shard_solo") for folder in folders]
        self.book = Phrasebook(root)
        self.batch, self.random = batch, np.random.default_rng(seed)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:
            picks = [self._pick() for _ in range(self.batch)]
            heard, mate, latent, phrase, audio_scale = (
                np.stack(column) for column in zip(*picks, strict=True)
            )
            source = augment_features(from_bytes(heard), from_bytes(mate), self.random)
            yield {
                "heard": torch.from_numpy(randomise_level(source, self.random)),
                "latent": torch.from_numpy(latent.astype(np.float32)),
                "text": torch.from_numpy(self.book.tokens[phrase].astype(np.float32)),
                "text_bias": torch.from_numpy(self.book.bias[phrase]),
                "audio_scale": torch.from_numpy(audio_scale),
                "omega": int(self.random.choice(OMEGAS, p=OMEGA_WEIGHTS)),
            }

    def _pick(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, np.float32]:
        """One row: source, another player of its score, target's latents, its words, and alpha."""
        shard = self.random.choice(len(self.heard), p=self.share)
        labels = self.label[shard]
        target = self.random.choice(len(labels), p=self.wanted[shard])
        mates = np.flatnonzero(
            (self.score[shard] == self.score[shard][target]) & (np.arange(len(labels)) != target)
        )
        same = self.random.random() < SAME_INSTRUMENT or not len(mates)
        source, mate = (target, target) if same else self.random.choice(mates, 2)
        if not same and self.has_guide[shard] and self.random.random() < GUIDE:
            source = mate = mates[-1]
        words = self.book.by_label[labels[target]][self.adjective[shard][target]]
        is_bare, is_wordless, is_deaf = self.random.random(3) < (DROP_BOTH, DROP_TEXT, DROP_AUDIO)
        phrase = 0 if is_bare or is_wordless else self.random.choice(words)
        heard, audio_scale = self.heard[shard], np.float32(not (is_bare or is_deaf))
        return heard[source], heard[mate], self.latent[shard][target], phrase, audio_scale


def shard_weights(names: list[str]) -> np.ndarray:
    """How often each shard (shard_<kind>_<number>) is drawn, by SHARES of the kinds at hand."""
    kinds = np.array([name.split("_")[1] for name in names])
    weights = np.array([SHARES[kind] / np.sum(kinds == kind) for kind in kinds])
    return weights / weights.sum()


def target_weights(label: np.ndarray, adjective: np.ndarray) -> np.ndarray:
    """How often each row of a shard is what is asked for."""
    weights = (label != SOURCE_ONLY) * np.where(adjective == PLAIN, 1.0, ADJECTIVE_WEIGHT)
    return weights / weights.sum()


def randomise_level(features: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Features [B, T, 944] as if heard up to 6 dB louder or softer: adding to a logarithm."""
    gain = np.log(10 ** (random.uniform(-GAIN_DB, GAIN_DB, (len(features), 1, 1)) / 20)).astype(
        np.float32
    )
    features[..., : F.MEL_WIDTH] += gain / F.MEL_STD
    features[..., F.MEL_WIDTH :] += gain / F.PITCH_STD
    return features


def latents(folder: Path, encoder: nn.Module) -> np.ndarray:
    """float16 [R, T, 48] of one shard."""
    clean = np.load(folder / "clean.npy", mmap_mode="r")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        parts = [
            encoder(torch.from_numpy(from_bytes(clean[i : i + 50]))).float().numpy()
            for i in range(0, len(clean), 50)
        ]
    return np.concatenate(parts).astype(np.float16)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument(
        "--seed",
        type=int,
        default=3,
        help="of the order of the data; change it when a run is resumed",
    )
    options = parser.parse_args(arguments)
    encoder = load_average(options.codec / "encoder", FeatureCodec(NanoConfig())).encoder
    pairs = Pairs(options.data, encoder, options.batch, options.seed)
    schedule = Schedule(options.steps, options.learning_rate)
    run(
        options.out,
        Transformer(NanoConfig()),
        iter(pairs),
        lambda module, batch: flow_loss(module.denoiser, batch, module.audio_encoder),
        schedule,
        average_decay=0.995,
    )


if __name__ == "__main__":
    main()
