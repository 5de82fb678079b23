"""Judge genre: is the result the genre that was asked for, and is it still the same music?

Unseen pieces by the arranger, truly played by a soundfont that training never heard, go to the
model with the name of another genre; the mix of what comes back is judged, by a judge that learned
from true renderings alone. Beside every figure stands that of a true re-arrangement: the same tune
and chords, written and played in that genre. Definitions: docs/evaluation.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.corpus.arrangements import (
    LEVELS_DB,
    RATE_HZ,
    TUNE,
    Players,
    at_levels,
    perform,
    rearranged,
)
from evaluation.exams.accompaniment import (
    SOURCES,
    allowed_classes,
    examined,
    means_of,
    parser,
    tracked,
)
from evaluation.exams.report import Goal, figures_table
from evaluation.metrics.musical import harmony_share
from evaluation.metrics.similarity import Sound, chroma_similarity

if TYPE_CHECKING:
    from engine.arranging.compose import Arrangement
    from evaluation.methods.subject import Band
    from evaluation.metrics.judge import Judge

FIRST_SEED = 55_000  # place in the seeds of tests
FIGURES = {
    "accuracy": "asked genre heard",
    "before": "old genre heard",
    "chroma": "chroma to source",
    "tune": "chroma of the tune",
    "harmony": "in key or chord",
}
ROWS = {
    "stem": "stems, mixed",
    "true": "true re-arrangement",
    "codec": "its parts through codec",
    "copy": "source unchanged",
}


def main(argv: Sequence[str] | None = None, subject: Band | None = None) -> int:
    """0: examined (with --check: and every goal reached), 1: not, 2: wrong use. Examines nano if
    not told what.
    """
    return examined(
        "genre", parser("genre", __doc__, "arrangements", 30).parse_args(argv), subject, _examine
    )


def _examine(report: dict[str, Any], options, subject: Band, judges, console) -> list[Goal]:
    judge = judges.load(name="genre")
    report["judge"] = judge.card
    own = judge.card["held_out_accuracy"]
    console.print(
        "the judge of genres, on true renderings that it never heard: "
        + ", ".join(f"{font} {share:.0%}" for font, share in own.items())
    )
    goals: list[Goal] = []
    if options.count:
        results = list(
            tracked(console, _unseen(options, subject, judge), options.count, "arrangements")
        )
        rows = {row: _means([item["rows"][row] for item in results]) for row in ROWS}
        kinds = {
            kind: _means([item["rows"]["stem"] for item in results if item["source"] == kind])
            for kind in dict.fromkeys(item["source"] for item in results)
        }
        report["unseen"] = {"results": results, "rows": rows, "by_source": kinds}
        goals += [
            Goal("genre accuracy", rows["stem"]["accuracy"]["mean"], 0.8),
            Goal("chroma to the source", rows["stem"]["chroma"]["mean"], 0.8),
        ]
        title = f"{len(results)} unseen arrangements, unseen soundfont, mean ± standard error"
        console.print(figures_table(title, FIGURES, {ROWS[row]: own for row, own in rows.items()}))
        console.print(figures_table("Stems by what was heard", FIGURES, kinds))
    if options.recordings:
        results = list(tracked(console, _recorded(options, subject, judge), None, "recordings"))
        means = {"stems, mixed": _means(results)}
        report["recordings"] = {"results": results, "rows": means}
        console.print(figures_table("Real recordings", FIGURES, means))
    return goals


def _unseen(options, subject: Band, judge: Judge) -> Iterator[dict[str, Any]]:
    """Every genre is asked for in turn, of a piece in another one."""
    from engine.arranging.compose import compose
    from evaluation.corpus.render import UNSEEN_SOUNDFONT
    from evaluation.corpus.scores import TEST_SEEDS

    players, genres, sources = Players(UNSEEN_SOUNDFONT), judge.names, list(SOURCES)
    for index in range(options.count):
        asked = genres[index % len(genres)]
        of = genres[(index + 1 + index // len(genres) * 3) % len(genres)]
        piece = compose(TEST_SEEDS[FIRST_SEED + 1000 * options.seed + index], options.seconds, of)
        yield examine_piece(
            players,
            piece,
            asked,
            sources[index % len(sources)],
            subject,
            judge,
            options.seed + index,
        )
    players.close()


def examine_piece(
    players: Players,
    piece: Arrangement,
    asked: str,
    kind: str,
    subject: Band,
    judge: Judge,
    seed: int,
) -> dict[str, Any]:
    """Figures of what comes back, of a true re-arrangement, and of the source left alone."""
    random = np.random.default_rng([0x6E4E, seed])
    played = perform(players, piece, [role for role in SOURCES[kind] if role != TUNE], random)
    source = Sound(played.mix(*SOURCES[kind]), RATE_HZ)
    stems = subject.perform(source, f"turn this into {asked}", {"seed": seed})
    true = rearranged(players, piece, asked, random)
    spoken = {name: subject.codec(Sound(part, RATE_HZ)) for name, part in true.parts.items()}
    mixes = {
        "stem": (mixed(stems), stems.get(TUNE)),
        "true": (Sound(true.mix(*true.parts), RATE_HZ), Sound(true.parts[TUNE], RATE_HZ)),
        "codec": (mixed(spoken), spoken[TUNE]),
        "copy": (source, source),
    }
    allowed = allowed_classes(piece)
    rows = {
        row: {
            **heard_as(judge.name(mix), asked, piece.genre),
            "chroma": chroma_similarity(mix, source),
            "tune": chroma_similarity(tune, source) if tune else float("nan"),
            "harmony": harmony_share(mix, allowed),
        }
        for row, (mix, tune) in mixes.items()
    }
    heard = judge.name(mixes["stem"][0])
    return {"genre": piece.genre, "asked": asked, "heard": heard, "source": kind, "rows": rows}


def heard_as(heard: str, asked: str, before: str) -> dict[str, float]:
    return {"accuracy": float(heard == asked), "before": float(heard == before)}


def mixed(stems: Mapping[str, Sound]) -> Sound:
    """The stems at one loudness and then at LEVELS_DB; one that has no such level (a mix already)
    as it is.
    """
    if not set(stems) <= set(LEVELS_DB):
        return next(iter(stems.values()))
    parts = at_levels({name: stem.at(RATE_HZ) for name, stem in stems.items()})
    return Sound(sum(parts.values()), RATE_HZ)


def _recorded(options, subject: Band, judge: Judge) -> Iterator[dict[str, Any]]:
    """Each recording in three genres that come round in turn."""
    from evaluation.exams.recordings import read_recordings

    for index, (name, source) in enumerate(read_recordings(options.recordings)):
        source = Sound(source.samples[: round(options.seconds * RATE_HZ)], RATE_HZ)
        for offset in range(3):
            asked = judge.names[(3 * index + offset) % len(judge.names)]
            stems = subject.perform(source, f"turn this into {asked}", {"seed": options.seed})
            mix, tune = mixed(stems), stems.get(TUNE)
            yield {
                "recording": name,
                "asked": asked,
                "heard": judge.name(mix),
                "accuracy": float(judge.name(mix) == asked),
                "chroma": chroma_similarity(mix, source),
                "tune": chroma_similarity(tune, source) if tune else float("nan"),
            }


_means = partial(means_of, FIGURES)


if __name__ == "__main__":
    sys.exit(main())
