"""Models folders of the published sizes with random weights: they take as long as trained ones, and
need no download.

The text encoders have two layers instead of 12 to 24: a text is read once and remembered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

AUDIOMAE_SEED = 1
LATENT_FRAMES = 128  # of a window: 5.12 s, half of the published
FRAMES_PER_SECOND = 25  # latent ones
VAE = {
    "block_out_channels": (128, 256, 512),
    "layers_per_block": 2,
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 8,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "scaling_factor": 0.4110932946205139,
}
VOCODER = {
    "model_in_dim": 64,
    "sampling_rate": 16_000,
    "upsample_initial_channel": 1024,
    "upsample_rates": [5, 4, 2, 2, 2],
    "upsample_kernel_sizes": [16, 16, 8, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    "normalize_before": False,
}
T5 = {
    "d_model": 1024,
    "d_ff": 2816,
    "d_kv": 64,
    "num_heads": 16,
    "num_layers": 2,
    "feed_forward_proj": "gated-gelu",
}
CLAP_TEXT = {
    "hidden_size": 768,
    "num_hidden_layers": 2,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "projection_dim": 512,
    "vocab_size": 64,
    "max_position_embeddings": 130,
    "pad_token_id": 1,
}
GPT2 = {
    "n_embd": 768,
    "n_layer": 2,
    "n_head": 12,
    "n_positions": 160,
    "vocab_size": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "max_new_tokens": 8,
}
MUSICGEN_T5 = {"d_model": 768, "d_ff": 3072, "d_kv": 64, "num_heads": 12, "num_layers": 2}
MUSICGEN_DECODER = {  # -small
    "vocab_size": 2048,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "ffn_dim": 4096,
    "num_codebooks": 4,
    "audio_channels": 1,
    "pad_token_id": 2048,
    "bos_token_id": 2048,
}
MUSICGEN_ENCODEC = {
    "sampling_rate": 32_000,
    "audio_channels": 1,
    "normalize": False,
    "num_filters": 64,
    "hidden_size": 128,
    "codebook_dim": 128,
    "codebook_size": 2048,
    "upsampling_ratios": [8, 5, 4, 4],
    "target_bandwidths": [2.2],
    "use_causal_conv": False,
    "use_conv_shortcut": False,
}


def audioldm2(folder: Path, is_quick: bool, frames: int = LATENT_FRAMES) -> None:
    """cvssp/audioldm2, AudioMAE and an adapter; `frames`: of the latent window, a multiple of 8."""
    import torch
    from safetensors.torch import save_file

    from engine.families.audioldm2.ap_adapter import AdaptedUNet, write_adapter
    from engine.families.audioldm2.audiomae import PUBLISHED, AudioMae
    from tests.engine.families.audioldm2 import small, tiny

    small.write_models(folder)
    if is_quick:
        return
    base = folder / "audioldm2"
    torch.manual_seed(0)
    parts = _audioldm2_parts(base, frames)
    for name, part in parts.items():
        part.save_pretrained(base / name)
    torch.manual_seed(AUDIOMAE_SEED)
    encoder = AudioMae({**PUBLISHED, "image_size": (4 * frames, 128)})
    state = {name: tensor.contiguous() for name, tensor in encoder.vit.state_dict().items()}
    save_file(state, str(folder / "audiomae.safetensors"))
    adapter = tiny.random_adapter(AdaptedUNet(parts["unet"]))
    # Scaled so that attention scores are about 1.
    scaled = {name: tensor * tensor.shape[1] ** -0.5 for name, tensor in adapter.items()}
    write_adapter(folder / "ap_adapter.safetensors", scaled)


def _audioldm2_parts(base: Path, frames: int) -> dict[str, Any]:
    """The repository's parts by folder name; small text encoders, everything else as published."""
    import diffusers
    import transformers as tr

    from tests.engine.families.audioldm2.published import SCHEDULER, UNET_BASE

    unet = diffusers.AudioLDM2UNet2DConditionModel(**{**UNET_BASE, "sample_size": frames})
    audio = tr.ClapModel.from_pretrained(base / "text_encoder").config.audio_config.to_dict()
    clap = tr.ClapConfig(
        text_config=CLAP_TEXT, audio_config={**audio, "projection_dim": 512}, projection_dim=512
    )
    return {
        "unet": unet,
        "vocoder": _vocoder(),
        "vae": diffusers.AutoencoderKL(**VAE),
        "text_encoder": tr.ClapModel(clap),
        "text_encoder_2": tr.T5EncoderModel(tr.T5Config(vocab_size=64, **T5)),
        "projection_model": diffusers.AudioLDM2ProjectionModel(512, 1024, 768),
        "language_model": tr.GPT2Model(tr.GPT2Config(**GPT2)),
        "scheduler": diffusers.DDIMScheduler(**SCHEDULER),
    }


def _vocoder() -> Any:
    """With its usual start it is so quiet that processors count in slow, tiny numbers."""
    import torch
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**VOCODER))
    for parameter in vocoder.parameters():
        if parameter.ndim == 3:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return vocoder


def musicgen(folder: Path, is_quick: bool) -> None:
    """facebook/musicgen-small."""
    import torch
    from transformers import (
        EncodecConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )

    from tests.engine.families.musicgen import tiny

    if is_quick:
        tiny.write(folder / "musicgen-small")
        return
    torch.manual_seed(0)
    parts = {
        "text_encoder": T5Config(vocab_size=64, **MUSICGEN_T5),
        "audio_encoder": EncodecConfig(**MUSICGEN_ENCODEC),
        "decoder": MusicgenDecoderConfig(**MUSICGEN_DECODER),
    }
    model = MusicgenForConditionalGeneration(
        MusicgenConfig(**{name: part.to_dict() for name, part in parts.items()})
    )
    model.save_pretrained(folder / "musicgen-small")
    tiny.tokenizer().save_pretrained(folder / "musicgen-small")
