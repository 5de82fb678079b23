"""AudioLDM2 and AudioMAE of the real classes with few random weights, as published on disk."""

from __future__ import annotations

import json
import string
from pathlib import Path

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
    RobertaTokenizerFast,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from engine.families.audioldm2.ap_adapter import AdaptedUNet, write_adapter
from engine.families.audioldm2.audiomae import AudioMae
from tests.engine.families.audioldm2.published import MODEL_INDEX, SCHEDULER, UNET_BASE, UNET_LARGE

GPT2_WIDTH, T5_WIDTH, CLAP_WIDTH = 16, 24, 12
WINDOW_LATENTS = 64  # 2.56 s
LETTERS = [*string.ascii_lowercase, *string.digits, *",.-'"]
AUDIOMAE = {
    "image_size": (4 * WINDOW_LATENTS, 128),
    "patch_size": 16,
    "num_channels": 1,
    "hidden_size": GPT2_WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 32,
    "layer_norm_eps": 1e-6,
}


def tiny_unet(large: bool = False) -> AudioLDM2UNet2DConditionModel:
    """The published topology on narrow channels."""
    widths = {768: GPT2_WIDTH, 1024: T5_WIDTH, None: None}
    published = UNET_LARGE if large else UNET_BASE
    config = {
        **published,
        "block_out_channels": (8, 16, 16, 24),
        "norm_num_groups": 4,
        "attention_head_dim": 2,
        "sample_size": WINDOW_LATENTS,
        "cross_attention_dim": [
            [widths[width] for width in row] for row in published["cross_attention_dim"]
        ],
    }
    return AudioLDM2UNet2DConditionModel(**config)


def tiny_audiomae() -> AudioMae:
    return AudioMae(AUDIOMAE)


def write_repository(folder: Path, large: bool = False) -> Path:
    """`folder` as `hf download cvssp/audioldm2 --local-dir folder` leaves it."""
    torch.manual_seed(0)
    tiny_unet(large).save_pretrained(folder / "unet")
    _vae().save_pretrained(folder / "vae")
    _vocoder().save_pretrained(folder / "vocoder")
    _clap().save_pretrained(folder / "text_encoder")
    T5EncoderModel(_t5_config()).save_pretrained(folder / "text_encoder_2")
    projection = AudioLDM2ProjectionModel(CLAP_WIDTH, T5_WIDTH, GPT2_WIDTH)
    projection.save_pretrained(folder / "projection_model")
    GPT2Model(_gpt2_config()).save_pretrained(folder / "language_model")
    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    _clap_tokenizer().save_pretrained(folder / "tokenizer")
    _t5_tokenizer().save_pretrained(folder / "tokenizer_2")
    (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX), encoding="utf-8")
    return folder


def write_models(folder: Path, large: bool = False) -> Path:
    """Write a models folder; its adapter differs from the text projections."""
    write_repository(folder / ("audioldm2-large" if large else "audioldm2"), large)
    torch.manual_seed(1)
    state = {name: tensor.contiguous() for name, tensor in tiny_audiomae().vit.state_dict().items()}
    save_file(state, str(folder / "audiomae.safetensors"))
    adapted = AdaptedUNet(tiny_unet(large))
    write_adapter(folder / "ap_adapter.safetensors", random_adapter(adapted))
    return folder


def random_adapter(adapted: AdaptedUNet, seed: int = 2) -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(old.shape, generator=noise)
        for name, old in adapted.adapter_state().items()
    }


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(4, 4, 8),
        in_channels=1,
        out_channels=1,
        norm_num_groups=2,
        latent_channels=8,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.4110932946205139,
    )


def _vocoder() -> SpeechT5HifiGan:
    """Its weights are drawn wide enough to be heard: the class's own start gives 1e-12."""
    config = SpeechT5HifiGanConfig(
        model_in_dim=64,
        sampling_rate=16_000,
        upsample_initial_channel=32,
        upsample_rates=[5, 4, 2, 2, 2],
        upsample_kernel_sizes=[16, 16, 8, 4, 4],
        resblock_kernel_sizes=[3, 7],
        resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]],
        normalize_before=False,
    )
    vocoder = SpeechT5HifiGan(config)
    for parameter in vocoder.parameters():
        if parameter.ndim == 3:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return vocoder


def _clap() -> ClapModel:
    text = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "projection_dim": CLAP_WIDTH,
        "vocab_size": len(LETTERS) + 5,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    audio = {
        "spec_size": 64,
        "window_size": 4,
        "num_mel_bins": 64,
        "intermediate_size": 37,
        "depths": [2, 2],
        "num_attention_heads": [2, 2],
        "num_hidden_layers": 2,
        "hidden_size": 192,
        "patch_size": 2,
        "patch_stride": 2,
        "patch_embed_input_channels": 4,
        "projection_dim": CLAP_WIDTH,
    }
    return ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=CLAP_WIDTH))


def _t5_config() -> T5Config:
    return T5Config(
        vocab_size=len(LETTERS) + 4,
        d_model=T5_WIDTH,
        d_ff=32,
        d_kv=8,
        num_heads=2,
        num_layers=2,
        relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu",
    )


def _gpt2_config() -> GPT2Config:
    return GPT2Config(
        n_embd=GPT2_WIDTH,
        n_layer=2,
        n_head=2,
        n_positions=160,
        vocab_size=8,
        bos_token_id=0,
        eos_token_id=1,
        max_new_tokens=8,
    )


def _clap_tokenizer() -> RobertaTokenizerFast:
    """Letters as byte-level tokens without merges."""
    names = ["<s>", "<pad>", "</s>", "<unk>", "Ġ", *LETTERS]
    vocab = {name: index for index, name in enumerate(names)}
    return RobertaTokenizerFast(vocab=vocab, merges=[], model_max_length=128)


def _t5_tokenizer() -> T5TokenizerFast:
    vocab = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        *((letter, -3.0) for letter in LETTERS),
    ]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=128)
