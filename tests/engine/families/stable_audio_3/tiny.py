"""Stable Audio 3 of the real classes with few random weights, in diffusers' layout on disk."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderSAME, FlowMatchEulerDiscreteScheduler, StableAudio3DiTModel
from diffusers.pipelines.stable_audio_3 import StableAudio3DurationEmbedder
from transformers import T5GemmaConfig, T5GemmaEncoderModel
from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig

from tests.engine.tiny_words import LETTERS, write_tokenizer

WORD_WIDTH, LATENT, FRAME_SAMPLES = 16, 8, 1024
INDEX = {
    "_class_name": "StableAudio3Pipeline",
    "duration_embedder": ["diffusers", "StableAudio3DurationEmbedder"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "T5GemmaEncoderModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "transformer": ["diffusers", "StableAudio3DiTModel"],
    "vae": ["diffusers", "AutoencoderSAME"],
}


def tiny_transformer() -> StableAudio3DiTModel:
    transformer = StableAudio3DiTModel(
        io_channels=LATENT,
        embed_dim=32,
        depth=2,
        num_heads=4,
        cond_token_dim=WORD_WIDTH,
        global_cond_dim=WORD_WIDTH,
        local_add_cond_dim=1 + LATENT,
        timestep_features_dim=16,
        ff_mult=2,
        num_memory_tokens=3,
    )
    _scatter(transformer, 0.5)
    return transformer


def tiny_vae() -> AutoencoderSAME:
    """Drawn wide enough to be heard: the class begins with branches of zeros."""
    vae = AutoencoderSAME(
        patch_size=256,
        encoder_channels=16,
        encoder_c_mults=(2,),
        encoder_strides=(FRAME_SAMPLES // 256,),
        encoder_transformer_depths=(2,),
        latent_dim=LATENT,
        dim_heads=8,
        ff_mult=2,
    )
    _scatter(vae, 0.5)
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            parameter.mul_(
                0.0
                if name.endswith("bias")
                else 4.0
                if "to_qkv" in name or name.endswith("_g")
                else 1.0
            )
    return vae


def write_repository(folder: Path, distilled: bool = False) -> Path:
    """`folder` as diffusers' conversion script leaves it."""
    torch.manual_seed(0)
    tiny_transformer().save_pretrained(folder / "transformer")
    tiny_vae().save_pretrained(folder / "vae")
    module = T5GemmaModuleConfig(
        vocab_size=len(LETTERS),
        hidden_size=WORD_WIDTH,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=256,
        sliding_window=256,
        layer_types=["full_attention"],
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    ).to_dict()
    T5GemmaEncoderModel(
        T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False)
    ).save_pretrained(folder / "text_encoder")
    write_tokenizer(folder / "tokenizer", 256)
    embedder = StableAudio3DurationEmbedder(output_dim=WORD_WIDTH, fourier_dim=16)
    embedder.save_pretrained(folder / "duration_embedder")
    scheduler = FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1, shift=1.0, stochastic_sampling=distilled
    )
    scheduler.save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(INDEX), encoding="utf-8")
    return folder


def _scatter(module: torch.nn.Module, width: float) -> None:
    """No matrix stays zero: what is not heard cannot be tested."""
    noise = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.copy_(width * torch.randn(parameter.shape, generator=noise))
