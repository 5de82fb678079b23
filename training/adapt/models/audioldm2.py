"""AudioLDM2 as a run wants it: the noise that the UNet finds in a clip's latent.

The audio prompt stays off: a style is learned from words alone, and the AP-Adapter that plays
beside it later brings the source's melody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from engine.adapters.soft_prompts import SoftPrompt
from engine.families.audioldm2 import features as F
from engine.families.audioldm2 import graphs, learned
from engine.families.audioldm2.components import Components
from engine.families.audioldm2.sampler import (
    Windows,
    build_scheduler,
    noise_for,
    sample,
    scheduler_for,
    time_embedding,
)
from engine.families.audioldm2.text import TextCondition, stack
from engine.families.audioldm2.weights import AudioLdm2Weights
from training.adapt.families import Arrays
from training.adapt.methods import first_words
from training.ap_adapter.objective import checkpoint_layers
from training.ap_adapter.windows import pictures_of, window_of

LICENCE = "CC-BY-NC-SA-4.0 (AudioLDM2): non-commercial use only"
GUIDANCE, STEPS = 3.5, 20  # of samples to hear
ATTENTION = r"(?:to_q|to_k|to_v|to_out\.0)"
SITES = {
    "attention": rf".*attn[12]\.{ATTENTION}",
    "mlp": r".*\.ff\.net\.(?:0\.proj|2)",
    "time": r"time_embedding\.linear_[12]|.*\.time_emb_proj",
    "output": r".*\.proj_out",
    "block": r".*\.ff",
}


def load(models: Path | None) -> TrainableAudioLdm2:
    """EngineError missing_weights."""
    from engine.families.audioldm2 import components

    base = AudioLdm2Weights(models).base()
    return TrainableAudioLdm2(components.load(base), base)


class TrainableAudioLdm2:
    """See families.TrainableModel."""

    licence, prefix, rate_hz = LICENCE, "unet", F.SAMPLE_RATE_HZ

    def __init__(self, components: Components, folder: Path) -> None:
        from diffusers import DDIMScheduler

        self.base, self._folder, self._parts = folder.name, folder, components
        self.module: nn.Module = components.unet.unet
        self.word_width = components.t5.config.d_model
        self.device = "cpu"
        own = {
            name: value
            for name, value in components.scheduler_config.items()
            if not name.startswith("_")
        }
        self._scheduler = DDIMScheduler.from_config(own)
        self.sites = {**SITES, "context": self._contexts()}
        self._empty: Arrays | None = None

    def _contexts(self) -> str:
        """Cross-attentions that read T5: those that read GPT-2 have the AP-Adapter's processor."""
        paths = [
            path
            for path, module in self.module.named_modules()
            if path.endswith(".attn2")
            and path not in self._parts.unet.adapters
            and module.to_k.in_features == self._parts.t5.config.d_model
        ]
        return "|".join(path.replace(".", r"\.") for path in paths)

    def to(self, device: str) -> None:
        self.device = device
        for part in ("unet", "vae", "vocoder", "clap", "t5", "projection", "language_model"):
            getattr(self._parts, part).to(device)

    def files(self) -> Mapping[str, Path]:
        from engine.families.shared.weights import files_of

        return files_of(self._folder)

    def recipe(self) -> Mapping[str, Any]:
        config = self._folder / "vae" / "config.json"
        return {
            "family": "audioldm2",
            "base": self.base,
            "latent": list(self._parts.latent_shape),
            "vae": hashlib.sha256(config.read_bytes()).hexdigest(),
        }

    @torch.inference_mode()
    def features(self, path: Path) -> Arrays:
        """Mean and deviation of the VAE's posterior, [C, T, F] each; short clips are mirrored."""
        frames = self._parts.latent_shape[1] * self._parts.frames_per_latent
        mel, _ = pictures_of(window_of(path, frames, 0.0), frames)
        posterior = self._parts.vae.encode(
            torch.from_numpy(mel)[None, None].to(self.device)
        ).latent_dist
        return {"mean": posterior.mean[0].cpu().numpy(), "std": posterior.std[0].cpu().numpy()}

    @torch.inference_mode()
    def text_features(self, text: str) -> Arrays:
        generated, tokens = learned.states(self._parts, text)
        return {"generated": generated.float().cpu().numpy(), "text": tokens.float().cpu().numpy()}

    def loss(
        self,
        sounds: Sequence[Arrays],
        texts: Sequence[Arrays | str],
        dropped: Tensor,
        words: SoftPrompt | None,
    ) -> Tensor:
        mean, std = (
            torch.from_numpy(np.stack([row[name] for row in sounds])) for name in ("mean", "std")
        )
        latent = (
            (mean + std * torch.randn(mean.shape)) * self._parts.vae.config.scaling_factor
        ).to(self.device)
        noise = torch.randn(latent.shape).to(self.device)
        times = torch.randint(self._scheduler.config.num_train_timesteps, (len(latent),)).to(
            self.device
        )
        heard = self._stack(
            [
                self._empty_text() if drop else text
                for text, drop in zip(texts, dropped.tolist(), strict=True)
            ],
            words,
        )
        predicted = self._parts.unet(
            self._scheduler.add_noise(latent, noise, times), times.float(), **heard
        )
        return functional.mse_loss(predicted.float(), noise)

    def first_words(self, text: str, count: int) -> Tensor:
        return first_words(
            self._parts.t5.get_input_embeddings(), learned.token_ids(self._parts, text), count
        )

    @torch.inference_mode()
    def play(
        self, text: str, seconds: float, seed: int, source: Path, words: SoftPrompt | None = None
    ) -> np.ndarray:
        """One window is drawn, and as much of it returned as was asked."""
        heard = self._stack(
            [self._empty_text(), text if words else self.text_features(text)], words
        )
        channels, frames, bands = self._parts.latent_shape
        width = self.module.config.block_out_channels[0]

        def predict(latent: np.ndarray, time: float, part: slice) -> np.ndarray:
            doubled = torch.from_numpy(np.concatenate([latent, latent])).to(self.device)
            embedding = torch.from_numpy(time_embedding(time, 2, width)).to(self.device)
            noise = self._parts.unet(doubled, embedding[:, 0], **heard, time_embedding=embedding)
            plain, asked = noise.float().cpu().numpy()[:, None]
            return plain + GUIDANCE * (asked - plain)

        scheduler = build_scheduler(scheduler_for(STEPS), self._parts.scheduler_config)
        noise = noise_for(seed, channels, frames, bands)
        latent = sample(predict, noise, Windows(frames, frames // 4), scheduler, STEPS)
        mel = graphs.VaeDecoder(self._parts.vae)(torch.from_numpy(latent)[None].to(self.device))
        samples = self._parts.vocoder(mel)[0].float().cpu().numpy()
        return samples[: int(seconds * self.rate_hz), None]

    def checkpoint_layers(self) -> None:
        checkpoint_layers(self._parts.unet)

    def _empty_text(self) -> Arrays:
        if self._empty is None:
            self._empty = self.text_features("")
        return self._empty

    def _stack(self, texts: Sequence[Arrays | str], words: SoftPrompt | None) -> dict[str, Tensor]:
        """The UNet's inputs; texts that are strings are read with learned words."""
        if words is None:
            features = [text for text in texts if not isinstance(text, str)]
            rows = stack([TextCondition(row["generated"], row["text"]) for row in features])
            return {name: torch.from_numpy(values).to(self.device) for name, values in rows.items()}
        read = [self._read(text, words) for text in texts]
        longest = max(len(tokens) for _, tokens in read)
        padded = [functional.pad(tokens, (0, 0, 0, longest - len(tokens))) for _, tokens in read]
        mask = torch.tensor(
            [[float(i < len(tokens)) for i in range(longest)] for _, tokens in read]
        )
        generated = torch.stack([said for said, _ in read])
        return {
            "generated": generated,
            "text": torch.stack(padded),
            "text_mask": mask.to(self.device),
        }

    def _read(self, text: Arrays | str, words: SoftPrompt) -> tuple[Tensor, Tensor]:
        if isinstance(text, str):
            return learned.states(self._parts, text, words)
        generated, tokens = (
            torch.from_numpy(text[name]).to(self.device) for name in ("generated", "text")
        )
        return generated, tokens
