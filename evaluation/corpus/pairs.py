"""Which timbre transfers are examined? Unseen scores on a soundfont that training never met."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from evaluation.corpus.instruments import INSTRUMENTS, SOURCE_ONLY_PROGRAMS, TEMPLATES
from evaluation.corpus.render import SAMPLE_RATE_HZ, UNSEEN_SOUNDFONT, Renderer, find_soundfont
from evaluation.corpus.scores import TEST_SEEDS, make_score
from evaluation.metrics.sound import Sound

QUIETEST_PEAK = 1e-3  # a soundfont may lack the notes of a score: such a pair is skipped
OTHER_SOUNDFONT = "fluid"


@dataclass(frozen=True)
class Pair:
    """One score, the program that plays it, the sound that is asked for, and the words."""

    score_seed: int
    source_program: int
    target: str
    target_program: int
    text: str


def make_pairs(count: int, seed: int, held_out_words: bool = False) -> list[Pair]:
    """`count` pairs, the same for the same seed; every target is asked for equally often.

    `held_out_words`: ask with words that training never used, for the sounds that have some.
    """
    random = np.random.default_rng([0xE7A1, seed])
    targets = [
        instrument for instrument in INSTRUMENTS if instrument.held_out_words or not held_out_words
    ]
    programs = [instrument.program for instrument in INSTRUMENTS] + list(SOURCE_ONLY_PROGRAMS)
    order: list[int] = []
    pairs = []
    for index in range(count):
        order = order or [int(i) for i in random.permutation(len(targets))]
        target = targets[order.pop()]
        words = target.held_out_words if held_out_words else target.words
        others = [program for program in programs if program != target.program]
        pairs.append(
            Pair(
                TEST_SEEDS[(seed * 10_000 + index) % len(TEST_SEEDS)],
                int(random.choice(others)),
                target.name,
                target.program,
                str(random.choice(TEMPLATES)).format(random.choice(words)),
            )
        )
    return pairs


class PairRenderer:
    """Renders pairs with the unseen soundfont and, where it is installed, with another one."""

    def __init__(self) -> None:
        """Raises FileNotFoundError naming the package of a missing soundfont."""
        self.soundfont = UNSEEN_SOUNDFONT
        self._unseen = Renderer(find_soundfont(UNSEEN_SOUNDFONT))
        self._other = _find_other()

    def render(self, pair: Pair) -> dict[str, Sound] | None:
        """source, true and perhaps other; None if one of them is silent."""
        score = make_score(pair.score_seed)
        sounds = {
            "source": self._unseen.render(score, pair.source_program),
            "true": self._unseen.render(score, pair.target_program),
        }
        if self._other:
            sounds["other"] = self._other.render(score, pair.target_program)
        if min(np.abs(samples).max() for samples in sounds.values()) < QUIETEST_PEAK:
            return None
        return {name: Sound(samples, SAMPLE_RATE_HZ) for name, samples in sounds.items()}

    def close(self) -> None:
        for renderer in filter(None, (self._unseen, self._other)):
            renderer.close()


def render_pairs(
    renderer: PairRenderer, count: int, seed: int, held_out_words: bool = False
) -> list[tuple[Pair, dict[str, Sound]]]:
    """`count` audible pairs with their sounds; a silent pair is replaced by the next one."""
    pairs = make_pairs(2 * count + 8, seed, held_out_words)
    rendered = ((pair, renderer.render(pair)) for pair in pairs)
    return list(islice(((pair, sounds) for pair, sounds in rendered if sounds is not None), count))


def _find_other() -> Renderer | None:
    try:
        return Renderer(find_soundfont(OTHER_SOUNDFONT))
    except FileNotFoundError:
        return None
