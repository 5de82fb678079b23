"""A small ClapModel of the real classes with random weights, saved as the published ones are."""

from __future__ import annotations

from pathlib import Path

WORDS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ")


def save_tiny_clap(folder: Path, enable_fusion: bool = False) -> Path:
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizerFast

    torch.manual_seed(0)
    audio = {
        "spec_size": 64,
        "window_size": 4,
        "num_mel_bins": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "patch_size": 2,
        "patch_stride": 2,
        "projection_dim": 8,
        "enable_fusion": enable_fusion,
        "fusion_type": None,
        "patch_embed_input_channels": 1,
    }
    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 40,
        "projection_dim": 8,
        "pad_token_id": 1,
    }
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(
        folder
    )
    ClapFeatureExtractor(
        feature_size=16,
        truncation="fusion" if enable_fusion else "rand_trunc",
        sampling_rate=48_000,
        hop_length=2400,
    ).save_pretrained(folder)
    RobertaTokenizerFast(
        vocab={word: index for index, word in enumerate(WORDS)}, merges=[], model_max_length=32
    ).save_pretrained(folder)
    return folder
