"""A models folder whose UNet is quick to export: two levels of the real class instead of four."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AudioLDM2UNet2DConditionModel

from engine.families.audioldm2.ap_adapter import AdaptedUNet, write_adapter
from tests.engine.families.audioldm2 import tiny
from tests.engine.families.audioldm2.published import UNET_BASE

UNET = {
    **UNET_BASE,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 2,
    "sample_size": tiny.WINDOW_LATENTS,
    "cross_attention_dim": [[None, tiny.GPT2_WIDTH, tiny.T5_WIDTH]] * 2,
}


def write_models(folder: Path) -> Path:
    """As tiny.write_models, with the smaller UNet and its adapter."""
    tiny.write_models(folder)
    torch.manual_seed(3)
    unet = AudioLDM2UNet2DConditionModel(**UNET)
    unet.save_pretrained(folder / "audioldm2" / "unet")
    write_adapter(folder / "ap_adapter.safetensors", tiny.random_adapter(AdaptedUNet(unet)))
    return folder
