"""nano as a run wants it: from the clip's notes on other instruments back to the clip.

features   clip --nano, "piano"--> its helpers (training.worked_example.pairs)
loss       helper + words -> clip. Where weights learn, half as many rows ask for a helper by
           its own words, which reminds nano of what it could do.
play       the first helper of a clip -> the stem, by the serving family itself
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.adapters.soft_prompts import SoftPrompt, write_soft_prompt
from engine.audio.reading import resample
from engine.errors import EngineError
from engine.families.nano.conditions import TextCondition
from engine.families.nano.exporting import LORA_LAYERS
from engine.families.nano.family import CONFIG, WEIGHTS, NanoFamily
from engine.families.nano.features import SAMPLE_RATE_HZ
from engine.families.nano.stages import STAGES, TOKEN_WIDTH
from engine.families.registry import FAMILIES
from engine.families.shared.torch_runner import TorchRunner
from engine.knobs import resolve
from engine.progress import ignore_progress, never_cancelled
from engine.runtimes.runner import REINSTALL, threads_for
from presets.style import ResolvedStyle, StyleTensor
from training.adapt.families import Arrays
from training.dataset.caption import without_tempo_and_key
from training.dataset.clips import Clip, samples_of
from training.nano.flow import DROP_AUDIO, OMEGA_WEIGHTS, OMEGAS, flow_loss
from training.worked_example.pairs import (
    HELPERS,
    Recording,
    crop,
    first_words,
    lay_out_words,
    make_recording,
)
from training.worked_example.restore import RestoreError, load_audio_encoder, load_denoiser

HELPER_SEED = 0
LONGEST_SECONDS = 30.0


def load(models: Path | None) -> TrainableNano:
    """The shipped weights. EngineError not_ready, model_damaged."""
    return TrainableNano(WEIGHTS)


class TrainableNano:
    """See families.TrainableModel."""

    licence, prefix, rate_hz = FAMILIES["nano"].licence, "denoiser", SAMPLE_RATE_HZ
    word_width = TOKEN_WIDTH
    sites = {"attention": rf"blocks\.\d+\.{LORA_LAYERS}"}

    def __init__(self, folder: Path) -> None:
        self._family, self._folder = NanoFamily.load(folder, threads_for()), folder
        self.base = f"nano {self._family.config.get('version', '')}".strip()
        self.module: nn.Module = _restore("denoiser", folder)
        self.device = "cpu"
        stage = next(stage for stage in STAGES if stage.name == "denoiser")
        self._runner = TorchRunner(stage, self.module, self.device)
        editor = self._family.editor
        own = {**editor.runners, "denoiser": self._runner}
        self._player = NanoFamily(own, editor.tokenizer, self._family.config, folder)

    def to(self, device: str) -> None:
        """The part that learns; the rest is quick enough where it is."""
        self.device = self._runner.device = device
        self.module.to(device)

    def files(self) -> Mapping[str, Path]:
        return self._family.files()

    def recipe(self) -> Mapping[str, Any]:
        """Helpers are nano's own, so all its weights count."""
        config = (self._folder / CONFIG).read_bytes()
        return {
            "family": "nano",
            "config": hashlib.sha256(config).hexdigest(),
            "helpers": HELPERS,
            "seed": HELPER_SEED,
        }

    def features(self, path: Path) -> Arrays:
        """Latents [V, W, 128, 48], audio tokens [V, W, 128, C]; version 0 is the clip itself."""
        found = make_recording(
            _mono(path, LONGEST_SECONDS), self._family, self._encoder, HELPER_SEED
        )
        return {
            "latent": found.latent.numpy().astype(np.float16),
            "tokens": found.tokens.numpy().astype(np.float16),
        }

    def text_features(self, text: str) -> Arrays:
        words = self._words(text)
        return {"tokens": words.tokens, "bias": words.bias}

    def loss(
        self,
        sounds: Sequence[Arrays],
        texts: Sequence[Arrays | str],
        dropped: Tensor,
        words: SoftPrompt | None,
    ) -> Tensor:
        """Learned words touch no weight, so they need no reminder."""
        random = np.random.default_rng(int(torch.randint(2**62, ())))
        gone = dropped.numpy().astype(bool)
        said = [
            self._words("") if drop else self._read(text)
            for text, drop in zip(texts, gone, strict=True)
        ]
        rows = [(sound, 0, words_) for sound, words_ in zip(sounds, said, strict=True)]
        for sound in sounds[: len(sounds) // 2] if words is None else ():
            helper = int(random.integers(len(HELPERS)))
            rows.append((sound, 1 + helper, self._words(HELPERS[helper])))
        latent, tokens = zip(
            *(crop(_recording(sound), target, random) for sound, target, _ in rows), strict=True
        )
        text, bias = lay_out_words(
            [row[2] for row in rows], None if words is None else words.vectors.cpu(), ~gone
        )
        batch = {
            "heard": torch.stack(tokens).float(),
            "latent": torch.stack(latent).float(),
            "text": text,
            "text_bias": bias,
            "audio_scale": torch.from_numpy(
                (random.random(len(rows)) >= DROP_AUDIO).astype(np.float32)
            ),
        }
        placed = {name: values.to(self.device) for name, values in batch.items()}
        placed["omega"] = int(random.choice(OMEGAS, p=OMEGA_WEIGHTS))
        return flow_loss(self.module, placed)["loss"]

    def first_words(self, text: str, count: int) -> Tensor:
        return first_words(self._words(text), count)

    def play(
        self, text: str, seconds: float, seed: int, source: Path, words: SoftPrompt | None = None
    ) -> np.ndarray:
        """What serving makes of the first helper of `source`."""
        heard = self._family.transfer(_mono(source, seconds), HELPERS[0], {"seed": HELPER_SEED})
        knobs, _ = resolve(without_tempo_and_key(text), {"seed": seed}, None, self._player.defaults)
        with tempfile.TemporaryDirectory() as folder:
            job = self._player.prepare(_style_of(words, Path(folder)), knobs)
        port = self._player.port(job, ignore_progress, never_cancelled)
        return port.run(heard).samples[:, None]

    def checkpoint_layers(self) -> None:
        for block in self.module.blocks:
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)

    @functools.cached_property
    def _encoder(self) -> nn.Module:
        return _restore("audio_encoder", self._folder)

    def _words(self, text: str) -> TextCondition:
        return self._family.editor.encode_text(((without_tempo_and_key(text), 1.0),))

    def _read(self, text: Arrays | str) -> TextCondition:
        return (
            self._words(text)
            if isinstance(text, str)
            else TextCondition(text["tokens"], text["bias"])
        )


def _restore(stage: str, folder: Path) -> nn.Module:
    """A shipped graph as a module. EngineError model_damaged: another version exported it."""
    load = {"denoiser": load_denoiser, "audio_encoder": load_audio_encoder}[stage]
    try:
        return load(folder / f"{stage}.onnx")
    except RestoreError as error:
        raise EngineError(
            "model_damaged", f"{stage}.onnx in {folder}: {error}; {REINSTALL}"
        ) from error


def _style_of(words: SoftPrompt | None, folder: Path) -> ResolvedStyle:
    """A style of these words; its hash is of their values, which change from step to step."""
    if words is None:
        return ResolvedStyle()
    digest = hashlib.sha256(words.vectors.detach().cpu().numpy().tobytes()).hexdigest()
    path = write_soft_prompt(folder / "words.safetensors", words)
    return ResolvedStyle(soft_prompts=(StyleTensor(str(path), sha256=digest),))


def _recording(sound: Arrays) -> Recording:
    return Recording(torch.from_numpy(sound["latent"]), torch.from_numpy(sound["tokens"]))


def _mono(path: Path, seconds: float) -> np.ndarray:
    """The clip's beginning at 32 kHz."""
    samples, rate_hz = samples_of(Clip(path))
    mono = resample(
        samples[: round(seconds * rate_hz)].mean(axis=1, keepdims=True), rate_hz, SAMPLE_RATE_HZ
    )
    return np.ascontiguousarray(mono[:, 0])
