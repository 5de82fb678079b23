"""Every setting of a run, once: YAML keys, flags and recipes are made from this table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

SITES = ("attention", "mlp", "time", "output")


class TrainError(ValueError):
    """Something the user can mend; `code` is symbolic."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def _of(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class Config:
    """One run."""

    family: str = _of("audioldm2", "which model learns")
    method: str = _of("lora", "how it learns; see: retimbre train methods")
    # what is trained
    rank: int = _of(16, "of a LoRA: 4 subtle, 16 an instrument, 64 another world")
    alpha: float = _of(0.0, "of a LoRA; 0: as the rank")
    dropout: float = _of(0.0, "of a LoRA's input")
    dora: bool = _of(False, "length and direction of the weights apart; cannot be blended")
    rslora: bool = _of(False, "scale by the root of the rank: for high ranks")
    targets: tuple[str, ...] = _of(("attention",), f"parts of the model: {', '.join(SITES)}")
    size: int = _of(32, "width of a bottleneck")
    length: int = _of(30, "learned words, or learned states of a prefix")
    begin: str = _of("", "words that learned words begin as; empty: noise")
    placeholder: str = _of("<style>", "textual inversion: the word in captions that is learned")
    trigger: str = _of("", "dreambooth: the rare word that captions must hold")
    inner: str = _of("lora", "dreambooth: train a lora, or full", choices=("lora", "full"))
    prior: str = _of("", "dreambooth: folder of general clips with captions, not to be forgotten")
    prior_weight: float = _of(1.0, "dreambooth: lambda, how much the general clips count")
    # steps
    steps: int = _of(1000, "at most")
    batch: int = _of(4, "clips at once")
    accumulate: int = _of(1, "batches in a step")
    learning_rate: float = _of(1e-4, "at the end of the warm-up")
    warmup: int = _of(20, "steps of linear rise; then a cosine")
    last_rate: float = _of(0.1, "share of the rate at the last step")
    weight_decay: float = _of(0.01, "AdamW's")
    clip_norm: float = _of(1.0, "gradients longer than this are shortened")
    condition_dropout: float = _of(0.1, "share of clips that hear no words, for guidance")
    precision: str = _of("no", "no (float32), bf16", choices=("no", "bf16"))
    checkpointing: bool = _of(False, "less memory, about a third more time")
    seed: int = _of(0, "of everything random")
    device: str = _of("", "cpu, cuda; empty: the best there is")
    # watching
    evaluate_every: int = _of(50, "steps between two looks at the validation clips")
    patience: int = _of(5, "evaluations without progress before it stops; 0: never")
    least_progress: float = _of(
        0.001, "relative fall of the validation loss that counts as progress"
    )
    save_every: int = _of(100, "steps between two checkpoints")
    keep: int = _of(2, "checkpoints that stay")
    sample_every: int = _of(250, "steps between two samples to hear; 0: none")
    samples: int = _of(2, "validation captions that are played")
    sample_seconds: float = _of(5.0, "their length")

    @property
    def scale(self) -> float:
        """alpha, decided."""
        return self.alpha or float(self.rank)


def checked(config: Config) -> Config:
    """TrainError bad_setting, with what was expected."""
    rules = {
        "rank": (1 <= config.rank <= 512, "1 to 512"),
        "targets": (
            bool(config.targets) and set(config.targets) <= set(SITES),
            f"some of {', '.join(SITES)}",
        ),
        "steps": (config.steps >= 1, "1 or more"),
        "batch": (config.batch >= 1, "1 or more"),
        "accumulate": (config.accumulate >= 1, "1 or more"),
        "learning_rate": (0 < config.learning_rate < 1, "between 0 and 1; try 1e-4"),
        "dropout": (0 <= config.dropout < 1, "0 to below 1"),
        "condition_dropout": (0 <= config.condition_dropout < 1, "0 to below 1"),
        "length": (1 <= config.length <= 256, "1 to 256"),
        "evaluate_every": (
            config.evaluate_every >= 1,
            "1 or more: early stopping and the best need it",
        ),
        "save_every": (config.save_every >= 1, "1 or more"),
        "keep": (config.keep >= 1, "1 or more"),
        "trigger": (
            config.method != "dreambooth" or bool(config.trigger),
            "a rare word, as --trigger zzq",
        ),
        "prior": (
            config.method != "dreambooth" or bool(config.prior),
            "a folder of general clips: without them dreambooth forgets what else there is",
        ),
    }
    for name, (is_good, expected) in rules.items():
        if not is_good:
            raise TrainError(
                "bad_setting", f"{name}: expected {expected}, got {getattr(config, name)!r}"
            )
    return config


NANO: Mapping[str, Any] = {
    "steps": 120,
    "warmup": 10,
    "last_rate": 0.0,
    "weight_decay": 0.0,
    "evaluate_every": 20,
    "save_every": 20,
    "sample_every": 60,
}
# name -> (where it comes from, what it changes). "paper" recipes are the sources' own, the others
# work sooner.
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
        "LoRA on DiffRhythm: rank 8, alpha 16, dropout .25, attention, time and output; patience 200",
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


def build(recipe: str = "", file: Path | None = None, flags: Mapping[str, Any] = {}) -> Config:
    """Defaults, then the recipe, then the YAML file, then flags. TrainError."""
    asked = {**(_from_yaml(file) if file else {}), **flags}
    chosen = recipe or USUAL.get(
        (asked.get("family", Config.family), asked.get("method", Config.method)), "style"
    )
    if chosen not in RECIPES:
        raise TrainError(
            "bad_setting", f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}"
        )
    values = {**RECIPES[chosen][1], **asked}
    known = {field_.name: field_ for field_ in fields(Config)}
    for name, value in values.items():
        if name not in known:
            raise TrainError(
                "bad_setting", f"{name}: there is no such setting; there are {', '.join(known)}"
            )
        values[name] = _typed(name, value, known[name].default)
    return checked(Config(**values))


def plain(config: Config) -> dict[str, Any]:
    """For JSON: tuples are lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(config).items()
    }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--rank 8 and the like; what was not given is absent from the result of `given_flags`."""
    for each in fields(Config):
        kind = type(each.default)
        options: dict[str, Any] = {"dest": each.name, "default": MISSING}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif kind is tuple:
            options["nargs"] = "+"
        else:
            options.update(
                type=kind,
                choices=each.metadata.get("choices"),
                metavar=None if "choices" in each.metadata else kind.__name__.upper(),
            )
        shown = " ".join(each.default) if kind is tuple else each.default
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            help=f"{each.metadata['help']} (default {shown!r})",
            **options,
        )


def given_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    names = {each.name for each in fields(Config)}
    return {
        name: value
        for name, value in vars(arguments).items()
        if name in names and value is not MISSING
    }


def _from_yaml(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainError("bad_setting", f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(found, dict):
        raise TrainError("bad_setting", f"{path}: expected lines such as `rank: 16`")
    return found


def _typed(name: str, value: Any, default: Any) -> Any:
    """A value of the default's type: 1 is a float, "1" and yes are not numbers."""
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML takes 1e-4 for text
        try:
            return float(value)
        except ValueError:
            pass
    if (
        kind is tuple
        and isinstance(value, (list, tuple))
        and all(isinstance(item, str) for item in value)
    ):
        return tuple(value)
    if type(value) is not kind:
        raise TrainError("bad_setting", f"{name}: expected {kind.__name__}, got {value!r}")
    return value
