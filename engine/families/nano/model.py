"""The networks of nano in torch, for training and export; serving runs their graphs.

    heard [B,T,944] -> AudioEncoder -> tokens [B,T,384] --pool(omega)--+
    words           -> sentence encoder -> tokens [B,L,384] -----------+
    latent, time ------------------------------------------------------+-> Denoiser -> velocity
    clean [B,T,944] -> CodecEncoder -> latent [B,T,48] (training, evaluation)
    latent [B,T,48] -> LatentDecoder -> residual: log-magnitude, phase [B,4T,641]
                                     -> partials: log-amplitude, offset [B,4T,478]

Sources: decoupled cross-attention after AP-Adapter (arXiv 2407.16564, section 3) and IP-Adapter;
rotary positions on both sides of it after MuseControlLite; adaptive layer norm from one shared map
after PixArt-alpha; ConvNeXt blocks after Vocos; rectified flow after Liu et al. 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.families.nano.features import FEATURE_WIDTH, LATENT_CHANNELS, MEL_PER_FRAME
from engine.families.nano.synthesis import BINS, OFFSET_LIMIT, SLOTS

TEXT_WIDTH = 384
TIME_WIDTH = 256
Turn = tuple[Tensor, Tensor]  # cosines and sines of `rotary`
RESTING_LOG_AMPLITUDE = 6.0  # untrained partials begin at -52 dB


@dataclass(frozen=True)
class NanoConfig:
    """Sizes; the defaults are the shipped model's, tests use smaller ones."""

    width: int = 384
    heads: int = 6
    layers: int = 6
    encoder_layers: int = 2
    codec_width: int = 384
    codec_layers: int = 3
    decoder_width: int = 384
    decoder_slow_layers: int = 3
    decoder_fast_layers: int = 6


class ConvNeXt(nn.Module):
    """Depthwise convolution over time, then a two-layer perceptron; [B, T, C] in and out."""

    def __init__(self, width: int, expansion: int = 3, kernel: int = 7) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.down(
            functional.gelu(self.up(self.norm(y)), approximate="tanh")
        )


class CodecEncoder(nn.Module):
    """Features to latents of zero mean and unit variance; without a scale no channel can die."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.into = nn.Linear(FEATURE_WIDTH, config.codec_width)
        self.blocks = nn.Sequential(
            *(ConvNeXt(config.codec_width) for _ in range(config.codec_layers))
        )
        self.out = nn.Linear(config.codec_width, LATENT_CHANNELS)
        self.norm = nn.BatchNorm1d(LATENT_CHANNELS, affine=False, momentum=0.01)

    def forward(self, features: Tensor) -> Tensor:
        z = self.out(self.blocks(self.into(features)))
        return self.norm(z.transpose(1, 2)).transpose(1, 2)


class LatentDecoder(nn.Module):
    """Latents to partials and a residual, from which `synthesis` makes samples."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.into = nn.Linear(LATENT_CHANNELS, width)
        self.slow = nn.Sequential(*(ConvNeXt(width) for _ in range(config.decoder_slow_layers)))
        self.upsample = nn.Linear(width, MEL_PER_FRAME * width)  # 25 Hz -> 100 Hz
        self.fast = nn.Sequential(*(ConvNeXt(width) for _ in range(config.decoder_fast_layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * BINS)
        self.partials = nn.Linear(width, 2 * SLOTS)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B, T, 48] -> log-magnitude, phase [B, 4 T, 641]; log-amplitude, offset [B, 4 T, 478]."""
        x = self.slow(self.into(latent))
        # [B, T, 4 C] -> [B, 4 T, C]
        x = self.fast(self.upsample(x).reshape(x.shape[0], -1, x.shape[2]))
        x = self.norm(x)
        log_magnitude, phase = self.head(x).chunk(2, dim=-1)
        log_amplitude, offset = self.partials(x).chunk(2, dim=-1)
        log_amplitude = (log_amplitude - RESTING_LOG_AMPLITUDE).clamp(max=1.0)
        return log_magnitude, phase, log_amplitude, OFFSET_LIMIT * torch.tanh(offset)


def rotary(positions: Tensor, dimension: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, 1, T, dimension / 2] for positions [B, T] in latent frames."""
    rates = torch.exp(
        torch.arange(dimension // 2, device=positions.device)
        * (-math.log(2000 / 2) / (dimension // 2 - 1))
    )
    angles = positions[:, None, :, None] * rates
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate [B, H, T, D] by the angles of its positions."""
    cos, sin = (part.to(x.dtype) for part in turn)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """[B, H, T, D] attention as two matrix products, which a CPU trains faster than a fused one."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return (scores if bias is None else scores + bias).softmax(dim=-1) @ value


class Heads(nn.Module):
    """A projection split into heads, keys and queries normalised: [B, T, C] -> [B, H, T, D]."""

    def __init__(self, source: int, width: int, heads: int, normalise: bool) -> None:
        super().__init__()
        self.heads, self.project = heads, nn.Linear(source, width, bias=False)
        self.gain = nn.Parameter(torch.ones(width // heads)) if normalise else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if self.gain is None:
            return y
        return (
            y
            * (torch.rsqrt(y.float().square().mean(-1, keepdim=True) + 1e-6)).to(y.dtype)
            * self.gain.to(y.dtype)
        )


def join(x: Tensor) -> Tensor:
    """[B, H, T, D] -> [B, T, C]."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key = (Heads(width, width, heads, normalise=True) for _ in range(2))
        self.value = Heads(width, width, heads, normalise=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        return self.out(
            join(attend(rotate(self.query(x), turn), rotate(self.key(x), turn), self.value(x)))
        )


class DecoupledAttention(nn.Module):
    """Text and audio prompt, each with keys and values of its own (AP-Adapter, eq. 5).

    The audio side is timed: rotary positions on both sides, and per head a penalty on distance
    whose slope is learned, so that a head may look at its own moment or at the whole region.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query = Heads(width, width, heads, normalise=True)
        self.text_key = Heads(TEXT_WIDTH, width, heads, normalise=True)
        self.text_value = Heads(TEXT_WIDTH, width, heads, normalise=False)
        self.audio_key = Heads(width, width, heads, normalise=True)
        self.audio_value = Heads(width, width, heads, normalise=False)
        self.log_slope = nn.Parameter(torch.linspace(0.7, -5.0, heads))
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self,
        x: Tensor,
        text: Tensor,
        text_bias: Tensor,
        audio: Tensor,
        audio_scale: Tensor,
        turn: Turn,
        audio_turn: Turn,
        distance: Tensor,
    ) -> Tensor:
        query = self.query(x)
        words = attend(query, self.text_key(text), self.text_value(text), text_bias)
        timed = rotate(query, turn), rotate(self.audio_key(audio), audio_turn)
        bias = -self.log_slope.exp()[:, None, None] * distance
        sound = attend(*timed, self.audio_value(audio), bias)
        return self.out(join(words + audio_scale[:, None, None, None] * sound))


class Perceptron(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )


class EncoderBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.local = ConvNeXt(width, expansion=2)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention, self.perceptron = SelfAttention(width, heads), Perceptron(width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = self.local(x)
        x = x + self.attention(self.norms[0](x), turn)
        return x + self.perceptron(self.norms[1](x))


class AudioEncoder(nn.Module):
    """What is played, one token per latent frame: [B, T, 944] -> [B, T, width]."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.into = nn.Linear(FEATURE_WIDTH, config.width)
        self.blocks = nn.ModuleList(
            EncoderBlock(config.width, config.heads) for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head_width = config.width // config.heads

    def forward(self, features: Tensor) -> Tensor:
        x = self.into(features)
        turn = rotary(frame_positions(x), self.head_width)
        for block in self.blocks:
            x = block(x, turn)
        return self.norm(x)


def frame_positions(x: Tensor) -> Tensor:
    """0, 1, 2, ... for each latent frame of x [B, T, C]: [1, T].

    By cumsum, so that T stays dynamic in a graph.
    """
    return torch.cumsum(torch.ones_like(x[:1, :, 0]), dim=1) - 1


class DenoiserBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(3))
        self.modulation = nn.Parameter(torch.randn(9, width) / width**0.5)
        self.self_attention = SelfAttention(width, heads)
        self.cross_attention = DecoupledAttention(width, heads)
        self.perceptron = Perceptron(width)

    def forward(self, x: Tensor, modulation: Tensor, turn: Turn, cross: tuple[Any, ...]) -> Tensor:
        parts = (modulation + self.modulation).unbind(1)  # nine of [B, C]
        branches: tuple[Callable[[Tensor], Tensor], ...] = (
            lambda y: self.self_attention(y, turn),
            lambda y: self.cross_attention(y, *cross),
            self.perceptron,
        )
        for index, branch in enumerate(branches):
            shift, scale, gate = (part[:, None] for part in parts[3 * index : 3 * index + 3])
            x = x + gate * branch(self.norms[index](x) * (1 + scale) + shift)
        return x


class Denoiser(nn.Module):
    """The velocity of the rectified flow from noise (t = 0) to latents (t = 1)."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.width
        self.into = nn.Linear(LATENT_CHANNELS, width)
        self.time = nn.Sequential(
            nn.Linear(TIME_WIDTH, width), nn.SiLU(), nn.Linear(width, 9 * width)
        )
        self.blocks = nn.ModuleList(
            DenoiserBlock(width, config.heads) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, LATENT_CHANNELS)
        self.head_width = width // config.heads
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.time[2].weight)
        with torch.no_grad():  # gates begin a little open, shifts and scales at rest
            self.time[2].bias.copy_(torch.tensor([0.0, 0.0, 0.3] * 3).repeat_interleave(width))

    def forward(
        self,
        latent: Tensor,  # [B, T, 48]
        time_embedding: Tensor,  # [B, 256], made by time_embedding() outside the graph
        text: Tensor,  # [B, L, 384]
        text_bias: Tensor,  # [B, L], added to attention scores: 0, log(weight) or -1e4
        audio: Tensor,  # [B, A, width]
        audio_position: Tensor,  # [B, A], in latent frames
        audio_scale: Tensor,  # [B], alpha
    ) -> Tensor:
        x = self.into(latent)
        position = frame_positions(x)
        turn, audio_turn = (
            rotary(position, self.head_width),
            rotary(audio_position, self.head_width),
        )
        # [B, 1, T, A]
        distance = (position[:, :, None] - audio_position[:, None, :]).abs()[:, None]
        cross = (text, text_bias[:, None, None], audio, audio_scale, turn, audio_turn, distance)
        modulation = self.time(time_embedding).unflatten(-1, (9, -1))
        for block in self.blocks:
            x = block(x, modulation, turn, cross)
        return self.out(self.norm(x))


def time_embedding(time: Tensor) -> Tensor:
    """Sinusoids of flow time [B]: [B, 256]; a test holds sampler.time_embedding equal."""
    rates = torch.exp(
        torch.arange(TIME_WIDTH // 2, device=time.device) * (-math.log(10_000) / (TIME_WIDTH // 2))
    )
    angles = 1000 * time[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def pool(tokens: Tensor, omega: int) -> tuple[Tensor, Tensor]:
    """AP-Adapter's pooling along time, (mean + max) / 2 over groups of omega.

    tokens [B, T, C] -> pooled [B, T / omega, C], their centres in latent frames [B, T / omega].
    """
    batch, frames, width = tokens.shape
    groups = tokens[:, : frames // omega * omega].reshape(batch, -1, omega, width)
    pooled = (groups.mean(2) + groups.amax(2)) / 2
    centres = (
        torch.arange(pooled.shape[1], dtype=tokens.dtype, device=tokens.device) * omega
        + (omega - 1) / 2
    )
    return pooled, centres.expand(batch, -1)
