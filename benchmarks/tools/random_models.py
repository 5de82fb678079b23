"""Models folders of the published sizes with random weights: they take as long as trained ones, and
need no download.

The text encoders have two layers instead of 12 to 24: a text is read once and remembered.
"""

from __future__ import annotations

from pathlib import Path

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
    """cvssp/audioldm2, AudioMAE and an adapter, with a window of so many latent frames, a multiple
    of 8.
    """
    import torch
    from diffusers import (
        AudioLDM2ProjectionModel,
        AudioLDM2UNet2DConditionModel,
        AutoencoderKL,
        DDIMScheduler,
    )
    from safetensors.torch import save_file
    from transformers import (
        ClapConfig,
        ClapModel,
        GPT2Config,
        GPT2Model,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        T5Config,
        T5EncoderModel,
    )

    from engine.families.audioldm2.ap_adapter import AdaptedUNet, write_adapter
    from engine.families.audioldm2.audiomae import PUBLISHED, AudioMae
    from tests.engine.families.audioldm2 import small, tiny
    from tests.engine.families.audioldm2.published import SCHEDULER, UNET_BASE

    small.write_models(folder)
    if is_quick:
        return
    base = folder / "audioldm2"
    torch.manual_seed(0)
    unet = AudioLDM2UNet2DConditionModel(**{**UNET_BASE, "sample_size": frames})
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**VOCODER))
    for parameter in vocoder.parameters():
        # its own start is so quiet that processors count in slow, tiny numbers
        if parameter.ndim == 3:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    text = {
        "hidden_size": 768,
        "num_hidden_layers": 2,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "projection_dim": 512,
        "vocab_size": 64,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
    }
    audio = ClapModel.from_pretrained(base / "text_encoder").config.audio_config.to_dict()
    parts = {
        "unet": unet,
        "vae": AutoencoderKL(**VAE),
        "vocoder": vocoder,
        "text_encoder": ClapModel(
            ClapConfig(
                text_config=text, audio_config={**audio, "projection_dim": 512}, projection_dim=512
            )
        ),
        "text_encoder_2": T5EncoderModel(T5Config(vocab_size=64, **T5)),
        "projection_model": AudioLDM2ProjectionModel(512, 1024, 768),
        "language_model": GPT2Model(
            GPT2Config(
                n_embd=768,
                n_layer=2,
                n_head=12,
                n_positions=160,
                vocab_size=8,
                bos_token_id=0,
                eos_token_id=1,
                max_new_tokens=8,
            )
        ),
        "scheduler": DDIMScheduler(**SCHEDULER),
    }
    for name, part in parts.items():
        part.save_pretrained(base / name)
    torch.manual_seed(AUDIOMAE_SEED)
    heard = AudioMae({**PUBLISHED, "image_size": (4 * frames, 128)})
    state = {name: tensor.contiguous() for name, tensor in heard.vit.state_dict().items()}
    save_file(state, str(folder / "audiomae.safetensors"))
    adapter = tiny.random_adapter(AdaptedUNet(unet))
    # scores of about 1
    quiet = {name: tensor * tensor.shape[1] ** -0.5 for name, tensor in adapter.items()}
    write_adapter(folder / "ap_adapter.safetensors", quiet)


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
