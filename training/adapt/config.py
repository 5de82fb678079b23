"""Every setting of a run, once: YAML keys, flags and recipes are made from this table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from training.adapt.recipes import RECIPES, USUAL

SITES = ("attention", "mlp", "time", "output")


class TrainError(ValueError):
    """Something the user can mend; `code` is symbolic."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def _setting(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class Config:
    """One run."""

    family: str = _setting("audioldm2", "which model learns")
    method: str = _setting("lora", "how it learns; see: retimbre train methods")
    # what is trained
    rank: int = _setting(16, "of a LoRA: 4 subtle, 16 an instrument, 64 another world")
    alpha: float = _setting(0.0, "of a LoRA; 0: as the rank")
    dropout: float = _setting(0.0, "of a LoRA's input")
    dora: bool = _setting(False, "length and direction of the weights apart; cannot be blended")
    rslora: bool = _setting(False, "scale by the root of the rank: for high ranks")
    targets: tuple[str, ...] = _setting(("attention",), f"parts of the model: {', '.join(SITES)}")
    size: int = _setting(32, "width of a bottleneck")
    length: int = _setting(30, "learned words, or learned states of a prefix")
    begin: str = _setting("", "words that learned words begin as; empty: noise")
    placeholder: str = _setting(
        "<style>", "textual inversion: the word in captions that is learned"
    )
    trigger: str = _setting("", "dreambooth: the rare word that captions must hold")
    inner: str = _setting("lora", "dreambooth: train a lora, or full", choices=("lora", "full"))
    prior: str = _setting(
        "", "dreambooth: folder of general clips with captions, not to be forgotten"
    )
    prior_weight: float = _setting(1.0, "dreambooth: lambda, how much the general clips count")
    # steps
    steps: int = _setting(1000, "at most")
    batch: int = _setting(4, "clips at once")
    accumulate: int = _setting(1, "batches in a step")
    learning_rate: float = _setting(1e-4, "at the end of the warm-up")
    warmup: int = _setting(20, "steps of linear rise; then a cosine")
    last_rate: float = _setting(0.1, "share of the rate at the last step")
    weight_decay: float = _setting(0.01, "AdamW's")
    clip_norm: float = _setting(1.0, "gradients longer than this are shortened")
    condition_dropout: float = _setting(0.1, "share of clips that hear no words, for guidance")
    precision: str = _setting("no", "no (float32), bf16", choices=("no", "bf16"))
    checkpointing: bool = _setting(False, "less memory, about a third more time")
    seed: int = _setting(0, "of everything random")
    device: str = _setting("", "cpu, cuda; empty: the best there is")
    # watching
    evaluate_every: int = _setting(50, "steps between two looks at the validation clips")
    patience: int = _setting(5, "evaluations without progress before it stops; 0: never")
    least_progress: float = _setting(
        0.001, "relative fall of the validation loss that counts as progress"
    )
    save_every: int = _setting(100, "steps between two checkpoints")
    keep: int = _setting(2, "checkpoints that stay")
    sample_every: int = _setting(250, "steps between two samples to hear; 0: none")
    samples: int = _setting(2, "validation captions that are played")
    sample_seconds: float = _setting(5.0, "their length")

    @property
    def scale(self) -> float:
        """alpha, or the rank where none is given."""
        return self.alpha or float(self.rank)


def validate(config: Config) -> Config:
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
        values[name] = _convert(name, value, known[name].default)
    return validate(Config(**values))


def to_json(config: Config) -> dict[str, Any]:
    """For JSON: tuples are lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(config).items()
    }


def add_flags(parser: argparse.ArgumentParser) -> None:
    """--rank 8 and the like; what was not given is absent from the result of `collect_flags`."""
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
        shown = " ".join(each.default) if isinstance(each.default, tuple) else each.default
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            help=f"{each.metadata['help']} (default {shown!r})",
            **options,
        )


def collect_flags(arguments: argparse.Namespace) -> dict[str, Any]:
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


def _convert(name: str, value: Any, default: Any) -> Any:
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
