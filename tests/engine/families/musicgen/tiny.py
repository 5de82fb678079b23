"""MusicGen of the real classes with few random weights, in transformers' layout on disk."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    MusicgenMelodyConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForConditionalGeneration,
    T5Config,
    T5TokenizerFast,
)

from engine.families.shared.pretrained import quiet_libraries

TEXT_WIDTH, TOKENS, CODEBOOKS = 24, 32, 4
LETTERS = [*string.ascii_lowercase, *string.digits, *",.-'"]
TARGETS = r".*decoder\.layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|out_proj)"
_CLASSES = {
    False: (MusicgenForConditionalGeneration, MusicgenConfig, MusicgenDecoderConfig),
    True: (
        MusicgenMelodyForConditionalGeneration,
        MusicgenMelodyConfig,
        MusicgenMelodyDecoderConfig,
    ),
}


def tiny(melody: bool = False, channels: int = 1, seed: int = 0):
    """The published topology (32 kHz, 50 frames a second, 4 codebooks) with narrow layers."""
    model_class, config_class, decoder_class = _CLASSES[melody]
    decoder = decoder_class(
        vocab_size=TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=64,
        dropout=0.0,
        num_codebooks=CODEBOOKS * channels,
        audio_channels=channels,
        pad_token_id=TOKENS,
        bos_token_id=TOKENS,
    )
    torch.manual_seed(seed)
    with quiet_libraries():
        parts = {"text_encoder": _t5(), "audio_encoder": _encodec(), "decoder": decoder}
        model = model_class(config_class(**{name: part.to_dict() for name, part in parts.items()}))
    _loud(model)
    return model.eval()


def tokenizer() -> T5TokenizerFast:
    vocab = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        *((letter, -3.0) for letter in LETTERS),
    ]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=64)


def write(folder: Path, **kind) -> Path:
    """`folder` as `hf download facebook/... --local-dir folder` leaves it."""
    with quiet_libraries():
        tiny(**kind).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def write_models(folder: Path) -> Path:
    write(folder / "musicgen-small")
    write(folder / "musicgen-melody", melody=True)
    return folder


def write_lora(
    folder: Path, seed: int = 0, rank: int = 4, alpha: int = 8, melody: bool = False, **more
) -> Path:
    """The file of a LoRA folder as peft saves it, trained by nobody: both factors are noise."""
    model = tiny(melody)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS, **more)
    adapted = get_peft_model(model, config)
    torch.manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(folder)
    return folder / "adapter_model.safetensors"


def _loud(model: torch.nn.Module) -> None:
    """Weights wide enough that words, melodies and codes make a difference to what is said."""
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and "audio_encoder" not in name:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    for name, buffer in model.audio_encoder.named_buffers():
        if name.endswith("codebook.embed"):
            torch.nn.init.normal_(buffer)


def _t5() -> T5Config:
    return T5Config(
        vocab_size=len(LETTERS) + 4,
        d_model=TEXT_WIDTH,
        d_ff=32,
        d_kv=8,
        num_heads=2,
        num_layers=2,
        relative_attention_num_buckets=8,
    )


def _encodec() -> EncodecConfig:
    return EncodecConfig(
        sampling_rate=32_000,
        audio_channels=1,
        normalize=False,
        num_filters=4,
        hidden_size=8,
        codebook_dim=8,
        codebook_size=TOKENS,
        upsampling_ratios=[8, 5, 4, 4],
        target_bandwidths=[1.0],
        use_causal_conv=False,
        num_lstm_layers=1,
        use_conv_shortcut=False,
    )
