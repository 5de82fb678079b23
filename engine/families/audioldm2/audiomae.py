"""AudioMAE's encoder as transformers' ViTModel, without masking and without the class token.

AP-Adapter reads its last block after the final norm; AudioLDM2 itself was trained on the mean of
the last three. The original pretrained.pth and the timm port name their tensors alike, and both are
mapped to ViTModel's names here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import ViTConfig, ViTModel

PATCH = 16  # mel frames by mel bands
IMAGE_SIZE = (1024, 128)  # mel frames, mel bands
PUBLISHED = {  # ViT-B
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH,
    "num_channels": 1,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
    "hidden_act": "gelu",
}

_BLOCK = r"blocks\.(\d+)\."
_RULES = (  # (name in the checkpoint, name in ViTModel); the fused qkv is cut in three
    (r"cls_token", "embeddings.cls_token"),
    (r"pos_embed", "embeddings.position_embeddings"),
    (r"patch_embed\.proj\.(weight|bias)", r"embeddings.patch_embeddings.projection.\1"),
    (_BLOCK + r"norm1\.(weight|bias)", r"layers.\1.layernorm_before.\2"),
    (_BLOCK + r"norm2\.(weight|bias)", r"layers.\1.layernorm_after.\2"),
    (_BLOCK + r"attn\.qkv\.(weight|bias)", r"layers.\1.attention.{}_proj.\2"),
    (_BLOCK + r"attn\.proj\.(weight|bias)", r"layers.\1.attention.o_proj.\2"),
    (_BLOCK + r"mlp\.fc([12])\.(weight|bias)", r"layers.\1.mlp.fc\2.\3"),
    # timm calls it fc_norm where it pools afterwards
    (r"(?:fc_)?norm\.(weight|bias)", r"layernorm.\1"),
)
_UNUSED = re.compile(r"decoder_|mask_token|head\.")


class AudioMae(torch.nn.Module):
    """Normalised filter banks [B, 1024, 128] -> tokens [B, 512, 768], 64 times by 8 frequencies."""

    def __init__(self, config: Mapping[str, object] = PUBLISHED) -> None:
        super().__init__()
        self.vit = ViTModel(ViTConfig(**config), add_pooling_layer=False)

    @property
    def frames(self) -> int:
        """Mel frames of one window: 1024, 10.24 s."""
        return self.vit.config.image_size[0]

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens along time and along frequency: (64, 8)."""
        height, width = self.vit.config.image_size
        return height // PATCH, width // PATCH

    def forward(self, fbank: torch.Tensor) -> torch.Tensor:
        return self.vit(fbank[:, None]).last_hidden_state[:, 1:]


def from_checkpoint(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The encoder's tensors under ViTModel's names, from pretrained.pth or the timm port.

    Raises ValueError for a name that is neither the encoder's nor the decoder's.
    """
    mapped: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if _UNUSED.match(name):
            continue
        new_name = _rename(name)
        if "{}" in new_name:
            parts = zip("qkv", tensor.chunk(3), strict=True)
            mapped |= {new_name.format(letter): part.contiguous() for letter, part in parts}
        else:
            mapped[new_name] = tensor
    return mapped


def _rename(name: str) -> str:
    for pattern, new_name in _RULES:
        if match := re.fullmatch(pattern, name):
            return match.expand(new_name)
    raise ValueError(f"expected a tensor of AudioMAE such as blocks.0.attn.qkv.weight, got {name}")


def read(path: Path) -> AudioMae:
    """The encoder from a safetensors file that `retimbre models convert` wrote, of any size."""
    from safetensors.torch import load_file

    state = load_file(str(path))
    model = AudioMae(_config_of(state))
    model.vit.load_state_dict(state)
    return model.eval()


def _config_of(state: Mapping[str, torch.Tensor]) -> dict[str, object]:
    """The published configuration with the sizes that the tensors have (heads are 64 wide)."""
    width = state["embeddings.cls_token"].shape[-1]
    layers = sum(name.endswith("fc1.bias") for name in state)
    tokens, bands = state["embeddings.position_embeddings"].shape[1] - 1, IMAGE_SIZE[1]
    return {
        **PUBLISHED,
        "image_size": (tokens // (bands // PATCH) * PATCH, bands),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // 64),
        "intermediate_size": state["layers.0.mlp.fc1.bias"].shape[0],
    }
