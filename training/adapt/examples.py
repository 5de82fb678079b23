"""Clips as features, and which of them stand in a batch."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.adapt.families import Arrays, TrainableModel
from training.dataset.cache import Cache
from training.dataset.clips import Clip


@dataclass(frozen=True)
class Example:
    """A clip as features; `text` is features, or the caption itself where words are learned."""

    sound: Arrays
    text: Arrays | str
    clip: Clip


@dataclass(frozen=True)
class Data:
    """What a run learns from, what judges it, and what it must not forget."""

    train: Sequence[Example]
    validation: Sequence[Example]
    prior: Sequence[Example] = ()


def make_examples(
    model: TrainableModel, clips: Sequence[Clip], cache: Cache, learns_words: bool
) -> list[Example]:
    """Clips as features, from the cache if they were made before."""
    from tqdm import tqdm

    found = []
    for clip in tqdm(clips, desc="features", unit="clip", disable=None):
        sound = cache.of_sound(clip.path, functools.partial(model.features, clip.path))
        encoded = functools.partial(model.text_features, clip.text)
        text = clip.text if learns_words else cache.of_text(clip.text, encoded)
        found.append(Example(sound, text, clip))
    return found


def batch_of(examples: Sequence[Example], size: int, number: int, seed: int) -> list[Example]:
    """The batch of this number: every example once, in a new order each time round."""
    places = range(number * size, (number + 1) * size)
    return [examples[_index_at(len(examples), place, seed)] for place in places]


def _index_at(count: int, place: int, seed: int) -> int:
    """Which of `count` stands at a place of an endless row of shuffles."""
    epoch, index = divmod(place, count)
    return int(np.random.default_rng(seed_of(seed, "order", epoch)).permutation(count)[index])


def seed_of(*parts: object) -> int:
    """A seed that follows from these values alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def first_of_each_caption(clips: Sequence[Clip]) -> list[Clip]:
    """The first clip of every caption."""
    return list({clip.text: clip for clip in reversed(clips)}.values())[::-1]
