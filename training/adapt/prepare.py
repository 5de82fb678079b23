"""From a configuration to a run that can go: model, data, what learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from training.adapt import families, methods
from training.adapt.card import fingerprint
from training.adapt.config import Config, TrainError
from training.adapt.examples import Data, make_examples
from training.adapt.run import Run, device_of
from training.dataset import split
from training.dataset.cache import Cache
from training.dataset.clips import Clip

WORDS = ("soft_prompt", "textual_inversion")


def prepare_run(
    config: Config, data: Path, folder: Path, models: Path | None
) -> tuple[Run, dict[str, list[Clip]]]:
    """A run, and the clips of each split. TrainError, DataError, EngineError missing_weights."""
    families.check(config.family, config.method, config.targets, config.inner, config.dora)
    parts = split.parts(data)
    _check_captions(config, parts["train"])
    model = families.load(config.family, models)
    model.to(device_of(config))
    learns_words = config.method in WORDS
    kind = f"{config.family}_words" if learns_words else config.family  # each prunes its own
    cache = Cache(data / ".retimbre_cache" / kind, model.recipe())
    train, validation = (
        make_examples(model, parts[name], cache, learns_words) for name in ("train", "validation")
    )
    prior = (
        make_examples(model, _prior(config), cache, False) if config.method == "dreambooth" else []
    )
    cache.prune()
    # whatever was drawn before, more where features were not in the cache
    torch.manual_seed(config.seed)
    adapter = methods.make_adapter(
        model, config
    )  # after the captions were read: they are the base's
    if config.checkpointing:
        model.checkpoint_layers()
    run = Run(
        folder,
        config,
        model,
        adapter,
        Data(train, validation, prior),
        fingerprint(parts),
        {"base": model.base, "family": config.family, "licence": model.licence},
    )
    return run, parts


def _prior(config: Config) -> list[Clip]:
    from training.dataset import layouts

    clips, _ = layouts.read(Path(config.prior))
    if not (said := [clip for clip in clips if clip.text]):
        raise TrainError(
            "bad_data",
            f"{config.prior}: none of {len(clips)} general clips has a caption; run: "
            f'retimbre data caption "{config.prior}" --words …',
        )
    return said


def _check_captions(config: Config, clips: Sequence[Clip]) -> None:
    """The word that is to be learned stands in every caption. TrainError bad_data."""
    word = {"textual_inversion": config.placeholder, "dreambooth": config.trigger}.get(
        config.method, ""
    )
    without = [clip.path.name for clip in clips if word and word not in clip.text]
    if without:
        raise TrainError(
            "bad_data",
            f"{len(without)} captions lack {word!r}, {without[0]}'s for one; run: "
            f'retimbre data caption FOLDER --trigger "{word}"',
        )
