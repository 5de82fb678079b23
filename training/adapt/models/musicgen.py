"""MusicGen as a run wants it: a clip's codes, and how surprising they are under its words."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.adapters.soft_prompts import SoftPrompt
from engine.audio.reading import resample
from engine.audio.scene import Scene
from engine.families.musicgen import components
from engine.families.musicgen.chroma import no_melody
from engine.families.musicgen.components import Components
from engine.families.musicgen.conditions import condition, melody_of, text_states, tokenize
from engine.families.musicgen.editor import WINDOW_SECONDS, Editor
from engine.families.musicgen.family import defaults
from engine.families.musicgen.labels import labels
from engine.families.musicgen.weights import MusicGenWeights, files_of
from engine.knobs import resolve
from training.adapt.families import Arrays
from training.adapt.methods import first_words
from training.dataset.clips import Clip, samples_of

LICENCE = "CC-BY-NC-4.0 (MusicGen): non-commercial use only"
GUIDANCE = 3.0
LAYER = r"decoder\.model\.decoder\.layers\.\d+\."
SITES = {
    "attention": LAYER + r"(?:self_attn|encoder_attn)\.(?:q_proj|k_proj|v_proj|out_proj)",
    "mlp": LAYER + r"fc[12]",
    "output": r"decoder\.lm_heads\.\d+",
}


def load(models: Path | None) -> TrainableMusicGen:
    """The best checkpoint that is there. EngineError missing_weights, not_ready."""
    weights = MusicGenWeights(models)
    weights.check()
    folder = weights.base()
    return TrainableMusicGen(components.load(folder), folder)


class TrainableMusicGen:
    """See families.TrainableModel."""

    licence, prefix = LICENCE, ""

    def __init__(self, parts: Components, folder: Path) -> None:
        self.base, self._folder, self._parts = folder.name, folder, parts
        self.module: nn.Module = parts.model
        self.rate_hz, self.word_width, self.sites = parts.rate_hz, parts.text_width, SITES
        self.device = "cpu"

    def to(self, device: str) -> None:
        self.device = device
        self.module.to(device)

    def files(self) -> Mapping[str, Path]:
        return files_of(self._folder)

    def recipe(self) -> Mapping[str, Any]:
        config = (self._folder / "config.json").read_bytes()
        return {
            "family": "musicgen",
            "base": self.base,
            "config": hashlib.sha256(config).hexdigest(),
        }

    def features(self, path: Path) -> Arrays:
        """Codes [K, T] of its first 30 s. One clip at a time: padding in a batch changes codes."""
        samples, rate_hz = samples_of(Clip(path))
        samples = resample(samples, rate_hz, self.rate_hz)[: int(WINDOW_SECONDS * self.rate_hz)]
        if self._parts.channels == 1:
            samples = samples.mean(axis=1, keepdims=True)
        elif samples.shape[1] != self._parts.channels:
            samples = np.repeat(samples.mean(axis=1, keepdims=True), self._parts.channels, axis=1)
        return {"codes": self._parts.encode(samples).astype(np.int16)}

    @torch.inference_mode()
    def text_features(self, text: str) -> Arrays:
        ids = self._ids(text)
        embedded = self.module.text_encoder(
            input_ids=ids, attention_mask=torch.ones_like(ids)
        ).last_hidden_state
        return {"states": embedded[0].float().cpu().numpy()}

    def loss(
        self,
        sounds: Sequence[Arrays],
        texts: Sequence[Arrays | str],
        dropped: Tensor,
        words: SoftPrompt | None,
    ) -> Tensor:
        """Over the shortest clip's length, with all of the delay pattern (musicgen.labels)."""
        model, frames = self.module, min(row["codes"].shape[1] for row in sounds)
        codes = torch.from_numpy(
            np.stack([row["codes"][:, :frames] for row in sounds]).astype(np.int64)
        )
        states, mask = self._stack(texts, words)
        kept = (~dropped[:, None]).to(mask)
        melody = None
        if self._parts.hears_melody:
            melody = melody_of(model, [no_melody()] * len(sounds)).to(self.device)
        heard = condition(model, states * kept[..., None], mask * kept, melody)
        config = model.config.decoder
        taught = labels(codes.to(self.device), config.pad_token_id, config.audio_channels)
        # no cache: a checkpointed layer would find its own keys in it the second time
        return model.decoder(labels=taught, use_cache=False, **heard.keywords(states.dtype)).loss

    def first_words(self, text: str, count: int) -> Tensor:
        return first_words(
            self.module.text_encoder.get_input_embeddings(), self._ids(text)[0, :-1].tolist(), count
        )

    def play(
        self, text: str, seconds: float, seed: int, source: Path, words: SoftPrompt | None = None
    ) -> np.ndarray:
        frames = int(seconds * self.rate_hz)
        empty = np.zeros((frames, self._parts.channels), np.float32)
        knobs, _ = resolve(text, {"seed": seed, "guidance": GUIDANCE}, None, defaults())
        prompts = [] if words is None else [(words, 1.0)]
        return Editor(self._parts).edit(
            Scene(empty[:0], empty, empty[:0]), "generate", knobs, prompts
        )

    def checkpoint_layers(self) -> None:
        """By hand: transformers' switch needs training mode, which turns dropout on as well."""
        for layer in self.module.decoder.model.decoder.layers:
            layer.forward = functools.partial(checkpoint, layer.forward, use_reentrant=False)

    def _ids(self, text: str) -> Tensor:
        return torch.tensor(
            tokenize(self._parts.tokenizer, [text])["input_ids"], device=self.device
        )

    def _stack(
        self, texts: Sequence[Arrays | str], words: SoftPrompt | None
    ) -> tuple[Tensor, Tensor]:
        """Projected states [B, L, H], each text read alone, and their mask."""
        read = [self._read(text, words) for text in texts]
        longest = max(len(states) for states in read)
        mask = torch.tensor(
            [[int(i < len(states)) for i in range(longest)] for states in read], device=self.device
        )
        return torch.stack(
            [nn.functional.pad(states, (0, 0, 0, longest - len(states))) for states in read]
        ), mask

    def _read(self, text: Arrays | str, words: SoftPrompt | None) -> Tensor:
        if isinstance(text, str):
            ids = self._ids(text)
            return text_states(self.module, ids, torch.ones_like(ids), words)[0][0]
        states = torch.from_numpy(text["states"]).to(self.device)
        projection = getattr(self.module, "enc_to_dec_proj", None)
        return states if projection is None else projection(states)
