"""Named settings, and where they come from.

"paper" recipes are the sources' own; the others work sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NANO: Mapping[str, Any] = {
    "steps": 120,
    "warmup": 10,
    "last_rate": 0.0,
    "weight_decay": 0.0,
    "evaluate_every": 20,
    "save_every": 20,
    "sample_every": 60,
}
# name -> (where it comes from, what it changes)
RECIPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "style": ("the default: a LoRA on attention, for 20 to 200 clips", {}),
    "few_clips": (
        "learned words for ten clips or fewer; begins as your words",
        {
            "method": "soft_prompt",
            "length": 30,
            "learning_rate": 3e-3,
            "steps": 600,
            "begin": "music",
        },
    ),
    "soft_prompt_paper": (
        "soft prompts on MusicGen (Shin, Im and Sung 2025): noise, 1e-5, batch 32",
        {
            "method": "soft_prompt",
            "length": 30,
            "begin": "",
            "learning_rate": 1e-5,
            "batch": 32,
            "steps": 7500,
            "warmup": 0,
            "last_rate": 0.0,
            "weight_decay": 0.0,
            "condition_dropout": 0.0,
        },
    ),
    "genre": (
        "the guide's genre recipe: rank 32 on attention",
        {"rank": 32, "steps": 2000, "batch": 4, "accumulate": 4, "learning_rate": 1e-4},
    ),
    "production": (
        "the guide's production style: rank 16, few steps",
        {"rank": 16, "steps": 1000, "batch": 4, "accumulate": 2, "learning_rate": 1e-4},
    ),
    "low_memory": (
        "the guide's QLoRA: the model in four bits; needs CUDA",
        {
            "method": "qlora",
            "rank": 16,
            "batch": 1,
            "accumulate": 8,
            "precision": "bf16",
            "checkpointing": True,
        },
    ),
    "adapters": (
        "the guide's adapters: small networks behind every block",
        {"method": "bottleneck", "size": 64, "learning_rate": 1e-3, "steps": 1500},
    ),
    "prefix": (
        "the guide's prefix tuning: learned states in every layer",
        {"method": "prefix", "length": 30, "learning_rate": 1e-3, "steps": 1500},
    ),
    "new_word": (
        "the guide's textual inversion: a word for a sound",
        {
            "method": "textual_inversion",
            "length": 4,
            "learning_rate": 5e-4,
            "steps": 3000,
            "begin": "music",
        },
    ),
    "dreambooth": (
        "the guide's DreamBooth with prior preservation, as a LoRA",
        {"method": "dreambooth", "inner": "lora", "learning_rate": 1e-4, "steps": 800},
    ),
    "dreambooth_paper": (
        "the same on all weights",
        {
            "method": "dreambooth",
            "inner": "full",
            "learning_rate": 1e-5,
            "steps": 800,
            "batch": 1,
            "accumulate": 4,
        },
    ),
    "full": (
        "the guide's full fine-tuning: 500 recordings or more",
        {"method": "full", "learning_rate": 1e-5, "steps": 5000, "batch": 4, "accumulate": 8},
    ),
    "lora_paper": (
        "LoRA on DiffRhythm: rank 8, alpha 16, dropout .25, attention, time, output; patience 200",
        {
            "rank": 8,
            "alpha": 16.0,
            "dropout": 0.25,
            "targets": ("attention", "time", "output"),
            "learning_rate": 2e-4,
            "last_rate": 0.1,
            "warmup": 0,
            "batch": 6,
            "condition_dropout": 0.25,
            "patience": 200,
            "least_progress": 0.01,
            "steps": 20_000,
        },
    ),
    "nano": (
        "nano on a handful of recordings, on a processor, in minutes; its usual one",
        {"family": "nano", **NANO, "learning_rate": 2e-3},
    ),
    "nano_words": (
        "the same by learned words, which play without graphs of one's own",
        {
            "family": "nano",
            **NANO,
            "method": "soft_prompt",
            "length": 16,
            "learning_rate": 2e-2,
            "begin": "music",
        },
    ),
    "subtle": ("rank 4: a tint", {"rank": 4}),
    "strong": (
        "rank 64 on attention and blocks, rank-stabilised",
        {"rank": 64, "alpha": 64.0, "rslora": True, "targets": ("attention", "mlp")},
    ),
}


# (family, method) -> recipe, where nobody names one
USUAL: Mapping[tuple[str, str], str] = {
    ("nano", "lora"): "nano",
    ("nano", "soft_prompt"): "nano_words",
}
