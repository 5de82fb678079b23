"""ACE-Step 1.5 of the real classes with few random weights, in the published layout on disk."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AceStepTransformer1DModel, AutoencoderOobleck, FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from transformers import Qwen3Config, Qwen3Model

from tests.engine.tiny_words import LETTERS, write_tokenizer

WIDTH, WORD_WIDTH, LATENT = 32, 16, 4
ATTENTION = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rope_theta": 10_000.0,
    "sliding_window": 16,
}
CODES = {
    "audio_acoustic_hidden_dim": LATENT,
    "pool_window_size": 5,
    "num_attention_pooler_hidden_layers": 1,
}
INDEX = {
    "_class_name": "AceStepPipeline",
    "audio_token_detokenizer": ["ace_step", "AceStepAudioTokenDetokenizer"],
    "audio_tokenizer": ["ace_step", "AceStepAudioTokenizer"],
    "condition_encoder": ["ace_step", "AceStepConditionEncoder"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen3Model"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "transformer": ["diffusers", "AceStepTransformer1DModel"],
    "vae": ["diffusers", "AutoencoderOobleck"],
}


def tiny_transformer(kind: str = "base") -> AceStepTransformer1DModel:
    return AceStepTransformer1DModel(
        **ATTENTION,
        num_hidden_layers=2,
        in_channels=3 * LATENT,
        audio_acoustic_hidden_dim=LATENT,
        patch_size=2,
        is_turbo=kind == "turbo",
        model_version=kind,
    )


def tiny_vae() -> AutoencoderOobleck:
    """Its weights are drawn wide enough to be heard."""
    vae = AutoencoderOobleck(
        encoder_hidden_size=2 * LATENT,
        downsampling_ratios=[8, 8, 30],
        channel_multiples=[1, 1, 1],
        decoder_channels=4,
        decoder_input_channels=LATENT,
        audio_channels=2,
        sampling_rate=48_000,
    )
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            parameter.mul_(
                0.0 if name.endswith("bias") else 1.5 if name.endswith("weight_g") else 1.0
            )
    return vae


def write_repository(folder: Path, kind: str = "base") -> Path:
    """Write `folder` as `hf download ACE-Step/acestep-v15-xl-base-diffusers` would."""
    torch.manual_seed(0)
    tiny_transformer(kind).save_pretrained(folder / "transformer")
    conditions = AceStepConditionEncoder(
        **ATTENTION,
        text_hidden_dim=WORD_WIDTH,
        timbre_hidden_dim=LATENT,
        num_lyric_encoder_hidden_layers=1,
        num_timbre_encoder_hidden_layers=1,
    )
    conditions.silence_latent.normal_(generator=torch.Generator().manual_seed(1))
    conditions.save_pretrained(folder / "condition_encoder")
    codes = {**ATTENTION, **CODES}
    AceStepAudioTokenizer(**codes, fsq_dim=WIDTH, fsq_input_levels=[8, 8, 8]).save_pretrained(
        folder / "audio_tokenizer"
    )
    AceStepAudioTokenDetokenizer(**codes).save_pretrained(folder / "audio_token_detokenizer")
    tiny_vae().save_pretrained(folder / "vae")
    words = Qwen3Config(
        hidden_size=WORD_WIDTH,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        vocab_size=len(LETTERS),
        max_position_embeddings=2048,
    )
    Qwen3Model(words).save_pretrained(folder / "text_encoder")
    write_tokenizer(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0).save_pretrained(
        folder / "scheduler"
    )
    (folder / "model_index.json").write_text(json.dumps(INDEX), encoding="utf-8")
    return folder
