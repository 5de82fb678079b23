"""The parts of an AudioLDM2 repository (cvssp/audioldm2, -large, -music), from a folder in the published layout.

The stock pipeline is not used: with transformers 5 it fails on these repositories, whose language model is the bare
GPT2Model (huggingface/diffusers#12630). Nothing is fetched: every part is read with local_files_only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.audioldm2.ap_adapter import AdaptedUNet
from engine.errors import Cancelled, EngineError


@dataclass
class Components:
    """The real classes, in evaluation mode and without gradients."""

    unet: AdaptedUNet
    vae: Any  # AutoencoderKL
    vocoder: Any  # SpeechT5HifiGan
    clap: Any  # ClapTextModelWithProjection: the text half of the repository's ClapModel
    t5: Any  # T5EncoderModel
    projection: Any  # AudioLDM2ProjectionModel
    language_model: Any  # GPT2Model
    clap_tokenizer: Any
    t5_tokenizer: Any
    scheduler_config: Mapping[str, Any]

    @property
    def frames_per_latent(self) -> int:
        """Mel frames in one latent frame, and mel bands in one latent band: 4."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, frames and bands of one window's latent: (8, 256, 16), 10.24 s."""
        config = self.unet.unet.config
        return config.in_channels, config.sample_size, self.vocoder.config.model_in_dim // self.frames_per_latent

    @property
    def samples_per_latent(self) -> int:
        """640: 40 ms at 16 kHz."""
        return self.frames_per_latent * int(torch.tensor(self.vocoder.config.upsample_rates).prod())


@dataclass(frozen=True)
class _Part:
    field: str
    folder: str
    read: Callable[[Path], Any]


def _model(package: str, name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        kind = getattr(importlib.import_module(package), name)
        model, info = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True)
        if missing := sorted(info["missing_keys"]):  # the libraries would fill them with random numbers
            raise ValueError(f"{len(missing)} tensors are not in the file, {missing[0]} for one")
        return model

    return read


def _tokenizer(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        return getattr(importlib.import_module("transformers"), name).from_pretrained(folder, local_files_only=True)

    return read


def _scheduler_config(folder: Path) -> Mapping[str, Any]:
    from diffusers import DDIMScheduler

    return DDIMScheduler.load_config(folder, local_files_only=True)


PARTS = (
    _Part("clap_tokenizer", "tokenizer", _tokenizer("RobertaTokenizerFast")),
    _Part("t5_tokenizer", "tokenizer_2", _tokenizer("T5TokenizerFast")),
    _Part("scheduler_config", "scheduler", _scheduler_config),
    _Part("unet", "unet", _model("diffusers", "AudioLDM2UNet2DConditionModel")),
    _Part("vae", "vae", _model("diffusers", "AutoencoderKL")),
    _Part("vocoder", "vocoder", _model("transformers", "SpeechT5HifiGan")),
    _Part("clap", "text_encoder", _model("transformers", "ClapTextModelWithProjection")),
    _Part("t5", "text_encoder_2", _model("transformers", "T5EncoderModel")),
    _Part("projection", "projection_model", _model("diffusers", "AudioLDM2ProjectionModel")),
    _Part("language_model", "language_model", _model("transformers", "GPT2Model")),
)


def load(
    folder: Path,
    *,
    rotary: bool = False,
    advance: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Components:
    """All parts in float32 on the CPU. `advance` gets the fraction of parts read.

    EngineError missing_weights: a part is not there or cannot be read. Raises Cancelled between two parts.
    """
    found: dict[str, Any] = {}
    for index, part in enumerate(PARTS):
        if cancelled():
            raise Cancelled
        with _quiet():
            found[part.field] = _read(part, folder / part.folder)
        advance((index + 1) / len(PARTS))
    found["unet"] = AdaptedUNet(found["unet"], rotary)
    for part in found.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    return Components(**found)


def _read(part: _Part, folder: Path) -> Any:
    try:
        return part.read(folder)
    except (OSError, ValueError, KeyError) as error:  # what the libraries raise for absent, foreign or broken files
        message = f"expected AudioLDM2's {part.field} in {folder}: {error}; fetch the repository again"
        raise EngineError("missing_weights", message) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and its table of the audio half of CLAP, which is left out on purpose."""
    from transformers.utils import logging

    before, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bar:
            logging.enable_progress_bar()
