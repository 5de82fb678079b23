"""AP-Adapter: how do the UNet's cross-attentions hear audio beside the words?

    z = softmax(q k_text) v_text + alpha * softmax(q k_audio) v_audio

Every cross-attention that reads GPT-2's context gets the second term, over pooled AudioMAE tokens.
q, k_text and v_text are AudioLDM2's own; only to_k_ip and to_v_ip are new. A checkpoint is a flat
table of them, `<attention>.processor.to_k_ip.weight`, as in the authors' pytorch_model.bin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

# diffusers hands GPT-2's context to the first two transformers of a layer, T5's to the others
GPT2_CONTEXTS = 2
ROTARY_BASE = 10_000.0
# one half of each head turns with time, the other goes on comparing content as it did
ROTARY_SHARE = 2
ROTARY_KEY = "rotary"  # metadata of a safetensors file; the authors' format has no such adapter


def pool_tokens(tokens: Tensor, grid: tuple[int, int], omega: tuple[int, int]) -> Tensor:
    """Pool tokens [B, time * frequency, C] to [B, A, C]: (mean + max) / 2 over `omega` cells.

    `omega`: cells along time and frequency. A last pool that is not full takes the cells it has.
    """
    picture = tokens.transpose(1, 2).unflatten(2, grid)  # [B, C, time, frequency]
    mean = functional.avg_pool2d(picture, omega, ceil_mode=True)
    largest = functional.max_pool2d(picture, omega, ceil_mode=True)
    return ((mean + largest) / 2).flatten(2).transpose(1, 2)


def pool_positions(
    grid: tuple[int, int], omega: tuple[int, int], frames_per_token: float
) -> Tensor:
    """Centres in time [A] of the tokens of `pool_tokens`, in latent frames."""
    starts = torch.arange(0, grid[0], omega[0], dtype=torch.float32)
    ends = (starts + omega[0]).clamp(max=grid[0])
    centres = (starts + ends) / 2 * frames_per_token - 0.5
    return centres.repeat_interleave(-(-grid[1] // omega[1]))


class AudioPrompt:
    """What the adapters hear in this forward pass.

    The adapters share this object because diffusers cannot pass its contents through the UNet.
    """

    def __init__(self) -> None:
        self.tokens: Tensor | None = None  # [B, A, C]; None: no audio
        self.scale: Tensor | None = None  # alpha, [B]
        self.positions: Tensor | None = None  # [B, A], latent frames
        self.time_embedding: Tensor | None = None  # [B, C0]; None: computed from the timesteps
        self.grid = (0, 0)  # of the latent: frames, bands


class AudioAttention(nn.Module):
    """The processor of one cross-attention: AudioLDM2's own, plus the audio prompt."""

    def __init__(self, attention: Any, prompt: AudioPrompt, rotary: bool) -> None:
        super().__init__()
        text_key = attention.to_k
        like = {"bias": False, "device": text_key.weight.device, "dtype": text_key.weight.dtype}
        self.to_k_ip = nn.Linear(text_key.in_features, text_key.out_features, **like)
        self.to_v_ip = nn.Linear(text_key.in_features, text_key.out_features, **like)
        self.rotary = rotary
        # in a list: torch.export empties plain attributes that it does not know
        self._prompt = [prompt]
        self.copy_text(attention)

    def copy_text(self, attention: Any) -> None:
        """Begin as the authors do, with the frozen text projections.

        They suit the audio, for GPT-2's vectors are pooled AudioMAE features.
        """
        if self.to_k_ip.weight.is_meta:
            return
        with torch.no_grad():
            self.to_k_ip.weight.copy_(attention.to_k.weight)
            self.to_v_ip.weight.copy_(attention.to_v.weight)

    def forward(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        prompt, text = self._prompt[0], encoder_hidden_states
        assert text is not None and hidden_states.ndim == 3, (
            "only cross-attention over flat pictures has an adapter"
        )
        assert attention_mask is None, "GPT-2's context has no padding"
        split = lambda x: x.unflatten(2, (attention.heads, -1)).transpose(1, 2)  # noqa: E731  [B, heads, L, head]
        query = split(attention.to_q(hidden_states))
        mixed = functional.scaled_dot_product_attention(
            query, split(attention.to_k(text)), split(attention.to_v(text))
        )
        if prompt.tokens is not None:
            assert prompt.scale is not None, "audio comes with its scale"
            tokens = prompt.tokens.to(query.dtype)
            key, value = split(self.to_k_ip(tokens)), split(self.to_v_ip(tokens))
            if self.rotary:
                assert prompt.positions is not None, "rotary audio comes with its positions"
                times = _query_times(query.shape[2], prompt.grid, query.device)
                query, key = rotate(query, times[None]), rotate(key, prompt.positions)
            audio = functional.scaled_dot_product_attention(query, key, value)
            mixed = mixed + prompt.scale.to(query.dtype)[:, None, None, None] * audio
        return attention.to_out[1](attention.to_out[0](mixed.transpose(1, 2).flatten(2)))


def rotate(heads: Tensor, times: Tensor) -> Tensor:
    """Rotary positions on the first half of each head: heads [B, H, L, D].

    `times` [B or 1, L] are in latent frames.
    """
    width = heads.shape[-1] // ROTARY_SHARE // 2
    rates = ROTARY_BASE ** (-torch.arange(width, device=heads.device, dtype=torch.float32) / width)
    angles = times.to(heads.device, torch.float32)[:, None, :, None] * rates
    cos, sin = angles.cos().to(heads.dtype), angles.sin().to(heads.dtype)
    first, second, rest = heads[..., :width], heads[..., width : 2 * width], heads[..., 2 * width :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)


def _query_times(count: int, grid: tuple[int, int], device: torch.device) -> Tensor:
    """Centres in time [count] of a UNet level's cells, in latent frames.

    The number of cells says which level it is.
    """
    (frames, bands), step = grid, 1
    while frames * bands != count:
        frames, bands, step = -(-frames // 2), -(-bands // 2), step * 2
        assert frames * bands >= count, f"no level of a {grid} latent has {count} cells"
    centres = (torch.arange(frames, device=device, dtype=torch.float32) + 0.5) * step - 0.5
    return centres.repeat_interleave(bands)


def gpt2_attentions(unet: nn.Module) -> Iterator[tuple[str, Any]]:
    """Every cross-attention that reads GPT-2's context, with its path.

    The rule is diffusers' own: the transformers of a layer stand in the order of
    `cross_attention_dim`, and GPT-2's are those among the first two that have a width. -large has
    four, [None, 768, 1024, None], the other sizes three: a fixed list cannot serve both.
    """
    for path, block in _blocks(unet):
        widths = block.cross_attention_dim
        for index, transformer in enumerate(block.attentions):
            context = index % len(widths)
            if widths[context] is None or context >= GPT2_CONTEXTS:
                continue
            for depth, layer in enumerate(transformer.transformer_blocks):
                yield f"{path}.attentions.{index}.transformer_blocks.{depth}.attn2", layer.attn2


def _blocks(unet: Any) -> Iterator[tuple[str, Any]]:
    """The blocks with attention, in the order in which they run."""
    named = [(f"down_blocks.{index}", block) for index, block in enumerate(unet.down_blocks)]
    named.append(("mid_block", unet.mid_block))
    named += [(f"up_blocks.{index}", block) for index, block in enumerate(unet.up_blocks)]
    return ((path, block) for path, block in named if hasattr(block, "attentions"))


class AdaptedUNet(nn.Module):
    """AudioLDM2's UNet with adapters in it. The given UNet itself is changed."""

    def __init__(self, unet: nn.Module, rotary: bool = False) -> None:
        super().__init__()
        self._prompt = [AudioPrompt()]
        self.unet = unet
        # a plain table: the modules belong to the UNet already
        self.adapters: dict[str, AudioAttention] = {}
        for path, attention in list(gpt2_attentions(unet)):
            self.adapters[path] = AudioAttention(attention, self._prompt[0], rotary)
            attention.set_processor(self.adapters[path])
        self.sinusoids = unet.time_proj
        unet.time_proj = _TimeEmbedding(unet.time_proj, self._prompt[0])

    def forward(
        self,
        latent: Tensor,
        timestep: Tensor,
        generated: Tensor,
        text: Tensor,
        text_mask: Tensor,
        audio: Tensor | None = None,
        audio_position: Tensor | None = None,
        audio_scale: Tensor | None = None,
        time_embedding: Tensor | None = None,
    ) -> Tensor:
        """The noise [B, 8, T, F] in latents at timesteps [B] under both texts and audio [B, A, C].

        `generated` is GPT-2's context, `text` T5's. Without audio this is the base model. The audio
        stays set until the next call, because gradient checkpointing reads it again: run a
        forward's backward before the next forward.
        """
        prompt = self._prompt[0]
        prompt.tokens, prompt.scale, prompt.positions = audio, audio_scale, audio_position
        prompt.time_embedding, prompt.grid = time_embedding, (latent.shape[-2], latent.shape[-1])
        return self.unet(
            latent,
            timestep,
            encoder_hidden_states=generated,
            encoder_hidden_states_1=text,
            encoder_attention_mask_1=text_mask,
            return_dict=False,
        )[0]

    def adapter_parameters(self) -> list[nn.Parameter]:
        """The parameters that training changes, in a fixed order."""
        return [
            parameter for adapter in self.adapters.values() for parameter in adapter.parameters()
        ]

    def adapter_state(self) -> dict[str, Tensor]:
        """The checkpoint: `<attention>.processor.to_k_ip.weight` and `.to_v_ip.weight` of each."""
        return {
            f"{path}.processor.{name}": tensor.detach()
            for path, adapter in self.adapters.items()
            for name, tensor in adapter.state_dict().items()
        }

    def load_adapter(self, state: Mapping[str, Tensor], rotary: bool | None = None) -> None:
        """Load a checkpoint; `rotary` says whether it has rotary positions (None: as before).

        Raises ValueError with the first tensor that does not fit, and changes nothing.
        """
        own = self.adapter_state()
        check_fit({name: tensor.shape for name, tensor in own.items()}, state)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])
        for adapter in self.adapters.values():
            adapter.rotary = adapter.rotary if rotary is None else rotary

    def reset_adapter(self) -> None:
        """Set every adapter back to a copy of the frozen text projections."""
        for path, attention in gpt2_attentions(self.unet):
            self.adapters[path].copy_text(attention)


class _TimeEmbedding(nn.Module):
    """Sinusoids of the timesteps, or those that the caller computed.

    A half-precision graph would lose whole radians, so the caller computes them in float32.
    """

    def __init__(self, sinusoids: nn.Module, prompt: AudioPrompt) -> None:
        super().__init__()
        self.sinusoids = sinusoids
        self._prompt = [prompt]

    def forward(self, timesteps: Tensor) -> Tensor:
        given = self._prompt[0].time_embedding
        return self.sinusoids(timesteps) if given is None else given


def check_fit(expected: Mapping[str, Iterable[int]], state: Mapping[str, Tensor]) -> None:
    """Raises ValueError where names or shapes differ."""
    for name in sorted(set(expected) ^ set(state)):
        where = "is missing" if name in expected else "has no place in this UNet"
        raise ValueError(f"{name} {where}; this adapter was made for another size of AudioLDM2")
    for name, shape in expected.items():
        if tuple(state[name].shape) != tuple(shape):
            found = tuple(state[name].shape)
            raise ValueError(
                f"{name}: expected {tuple(shape)}, got {found}; "
                "it was made for another size of AudioLDM2"
            )


def write_adapter(
    path: Path, state: Mapping[str, Tensor], rotary: bool = False, notes: Mapping[str, str] = {}
) -> None:
    """Write a checkpoint as safetensors; `notes` go beside `rotary` into its metadata."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous().cpu() for name, tensor in state.items()}
    save_file(tensors, str(path), metadata={**notes, ROTARY_KEY: str(int(rotary))})


def is_adapter(path: Path) -> bool:
    """Whether a file is an AP-Adapter; True for a broken file too, which `read_adapter` reports."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            names: list[str] = file.keys()
            return any(name.endswith(".processor.to_k_ip.weight") for name in names)
    except (OSError, SafetensorError):
        return True


def read_adapter(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors of a safetensors checkpoint, and whether its audio path has rotary positions."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata() or {}
        names: list[str] = file.keys()
        return {name: file.get_tensor(name) for name in names}, metadata.get(ROTARY_KEY) == "1"
