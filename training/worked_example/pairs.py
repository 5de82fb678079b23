"""Recordings alone become aligned pairs: nano itself makes the other side of each.

    recording --nano, "piano"--> the same notes on a piano --+
              --nano, "violin"-> ... on a violin  -----------+--> sources; target: the recording
              itself, now and then --------------------------+

The same stems are targets too, each for its own words. That reminds the model of what it could do
(prior preservation, Ruiz et al. 2023) with nothing but the user's recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.audio.region import reflect
from engine.families.nano import features as F
from engine.families.nano.conditions import PADDING_BIAS, TextCondition, stack_conditions
from engine.families.nano.family import NanoFamily
from engine.families.nano.model import AudioEncoder
from engine.families.nano.sampler import WINDOW_FRAMES
from training.nano.flow import DROP_AUDIO, DROP_TEXT, OMEGA_WEIGHTS, OMEGAS, SAME_INSTRUMENT

HELPERS = ("piano", "violin", "trumpet")  # struck, bowed, blown
WINDOW_STRIDE = 64  # latent frames between two windows of one recording
JITTER = 0.1  # of learned words that begin alike: without it they would stay alike
# of a window in a step: half the work, and no recording is met twice in the same place
CROP_FRAMES = 64


@dataclass(frozen=True)
class Recording:
    """Windows of one recording (version 0) and of its helpers: V versions, W windows, T = 128."""

    latent: Tensor  # [V, W, T, 48]
    tokens: Tensor  # [V, W, T, C]


def make_recording(
    mono_32k: np.ndarray, family: NanoFamily, encoder: AudioEncoder, seed: int
) -> Recording:
    """One recording with its helpers; a shorter one than 5.12 s is continued by its reflection."""
    frames = max(WINDOW_FRAMES, F.frame_count(len(mono_32k)))
    mono = reflect(np.asarray(mono_32k, np.float32), 0, frames * F.SAMPLES_PER_FRAME)
    helpers = [
        family.transfer(mono, words, {"seed": seed + index}) for index, words in enumerate(HELPERS)
    ]
    pairs = [_windows(version, family, encoder) for version in (mono, *helpers)]
    return Recording(*(torch.stack(column) for column in zip(*pairs, strict=True)))


def _windows(mono: np.ndarray, family: NanoFamily, encoder: AudioEncoder) -> tuple[Tensor, Tensor]:
    """Latents [W, T, 48] and audio tokens [W, T, C] of one version, at the model's level."""
    heard = F.features(mono * np.float32(F.level_gain(mono)))
    starts = range(0, len(heard) - WINDOW_FRAMES + 1, WINDOW_STRIDE)
    windows = np.stack([heard[first : first + WINDOW_FRAMES] for first in starts])
    (latent,) = family.editor.runners["codec_encoder"](features=windows)
    with torch.inference_mode():
        tokens = encoder(torch.from_numpy(windows)).clone()
    return torch.from_numpy(latent), tokens


class Pairs:
    """Batches for `training.nano.flow.flow_loss`, whose audio is encoded already.

    `style` rows ask for the sound by its phrase, `prior` rows for a helper by the helper's words.
    Learned words [n, 384] go before the phrase.
    """

    def __init__(
        self, recordings: Sequence[Recording], family: NanoFamily, phrase: str, seed: int
    ) -> None:
        self.recordings, self.random = recordings, np.random.default_rng(seed)
        self.words: Mapping[int, TextCondition] = {
            version: family.editor.encode_text(((text, 1.0),))
            for version, text in enumerate((phrase, *HELPERS))
        }
        self.silence = family.editor.encode_text((("", 1.0),))

    def batch(
        self, style: int, prior: int = 0, learned: Tensor | None = None, drops: bool = True
    ) -> dict[str, Tensor]:
        random = self.random
        targets = [0] * style + [
            int(version) for version in random.integers(1, 1 + len(HELPERS), prior)
        ]
        latent, tokens = zip(*(self._pair(target) for target in targets), strict=True)
        is_dropped = (random.random(len(targets)) < DROP_TEXT) & drops
        said = [
            self.silence if gone else self.words[target]
            for target, gone in zip(targets, is_dropped, strict=True)
        ]
        text, bias = lay_out_words(said, learned, (np.array(targets) == 0) & ~is_dropped)
        hears = (random.random(len(targets)) >= DROP_AUDIO) | (not drops)
        return {
            "heard": torch.stack(tokens),
            "latent": torch.stack(latent),
            "text": text,
            "text_bias": bias,
            "audio_scale": torch.from_numpy(hears.astype(np.float32)),
            "omega": int(random.choice(OMEGAS, p=OMEGA_WEIGHTS)) if drops else 1,
        }

    def _pair(self, target: int) -> tuple[Tensor, Tensor]:
        return crop(
            self.recordings[int(self.random.integers(len(self.recordings)))], target, self.random
        )


def crop(found: Recording, target: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Latent [64, 48] of one version, and audio tokens [64, C] of another at the same place.

    Now and then both are of the same version.
    """
    versions, windows = found.latent.shape[:2]
    others = [version for version in range(versions) if version != target]
    source = target if random.random() < SAME_INSTRUMENT else random.choice(others)
    window, first = random.integers(windows), random.integers(WINDOW_FRAMES - CROP_FRAMES + 1)
    place = slice(first, first + CROP_FRAMES)
    return found.latent[target, window, place], found.tokens[source, window, place]


def lay_out_words(
    said: Sequence[TextCondition], learned: Tensor | None, hears_learned: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Words of a batch [B, L, 384] and their bias [B, L].

    In the rows that `hears_learned` marks, learned words [n, 384] go before.
    """
    text, bias = (torch.from_numpy(values) for values in stack_conditions(list(said)))
    if learned is not None:
        own = torch.where(torch.as_tensor(hears_learned), 0.0, PADDING_BIAS)
        text = torch.cat([learned.expand(len(text), -1, -1), text], dim=1)
        bias = torch.cat([own[:, None].expand(-1, len(learned)), bias], dim=1)
    return text, bias


def first_words(words: TextCondition, count: int) -> Tensor:
    """What learned words begin as [count, 384]: a text's tokens, again and again, each jittered."""
    tokens = torch.from_numpy(words.tokens)
    repeated = tokens.repeat(-(-count // len(tokens)), 1)[:count]
    return repeated + JITTER * tokens.std() * torch.randn_like(repeated)
