"""Judge genre: is the result the genre that was asked for, and is it still the same music?

Unseen pieces by the arranger, rendered with a soundfont that training never heard, go to the model
with the name of another genre. The mix of what comes back is judged, by a judge that learned from
true renderings alone. Every figure stands beside that of a true re-arrangement: the same tune and
chords, written and rendered in that genre. Definitions: docs/evaluation.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from engine.arranging.compose import Arrangement, compose
from evaluation.corpus.arrangements import (
    LEVELS_DB,
    RATE_HZ,
    TUNE,
    PartRenderer,
    render_parts,
    render_rearrangement,
    set_levels,
)
from evaluation.corpus.render import UNSEEN_SOUNDFONT
from evaluation.corpus.scores import TEST_SEEDS
from evaluation.exams.arrangements import SOURCES, Exam, legal_pitch_classes, run_exam
from evaluation.methods.models import ArrangingModel
from evaluation.metrics.means import figure_means
from evaluation.metrics.musical import harmony_share
from evaluation.metrics.similarity import chroma_similarity
from evaluation.metrics.sound import Sound
from evaluation.reporting.tables import Goal, figures_table

FIRST_SEED = 55_000  # place in the seeds of tests
GENRES_PER_RECORDING = 3
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
_means = partial(figure_means, FIGURES)


def main(argv: Sequence[str] | None = None, model: ArrangingModel | None = None) -> int:
    """0: examined (with --check: and every goal reached), 1: not, 2: wrong use. Default: nano."""
    return run_exam("genre", __doc__, 30, argv, model, "genre", _examine)


def _examine(exam: Exam) -> list[Goal]:
    card = exam.report["judge"] = exam.judge.card
    exam.console.print(
        "the judge of genres, on true renderings that it never heard: "
        + ", ".join(f"{font} {share:.0%}" for font, share in card["held_out_accuracy"].items())
    )
    goals = _examine_unseen(exam) if exam.options.count else []
    if exam.options.recordings:
        results = exam.track(_recordings_results(exam), None, "recordings")
        means = {"stems, mixed": _means(results)}
        exam.report["recordings"] = {"results": results, "rows": means}
        exam.console.print(figures_table("Real recordings", FIGURES, means))
    return goals


def _examine_unseen(exam: Exam) -> list[Goal]:
    results = exam.track(_unseen_results(exam), exam.options.count, "arrangements")
    rows = {row: _means([item["rows"][row] for item in results]) for row in ROWS}
    by_source = {
        name: _means([item["rows"]["stem"] for item in results if item["source"] == name])
        for name in dict.fromkeys(item["source"] for item in results)
    }
    exam.report["unseen"] = {"results": results, "rows": rows, "by_source": by_source}
    title = f"{len(results)} unseen arrangements, unseen soundfont, mean ± standard error"
    named = {ROWS[row]: figures for row, figures in rows.items()}
    exam.console.print(figures_table(title, FIGURES, named))
    exam.console.print(figures_table("Stems by what was heard", FIGURES, by_source))
    return [
        Goal("genre accuracy", rows["stem"]["accuracy"]["mean"], 0.8),
        Goal("chroma to the source", rows["stem"]["chroma"]["mean"], 0.8),
    ]


def _unseen_results(exam: Exam) -> Iterator[dict[str, Any]]:
    """Every genre is asked for in turn, of a piece in another one."""
    options, genres, sources = exam.options, exam.judge.names, list(SOURCES)
    renderer = PartRenderer(UNSEEN_SOUNDFONT)
    for index in range(options.count):
        asked = genres[index % len(genres)]
        own = genres[(index + 1 + index // len(genres) * 3) % len(genres)]
        seed = TEST_SEEDS[FIRST_SEED + 1000 * options.seed + index]
        piece, source = compose(seed, options.seconds, own), sources[index % len(sources)]
        yield examine_piece(exam, renderer, piece, asked, source, options.seed + index)
    renderer.close()


def examine_piece(
    exam: Exam, renderer: PartRenderer, piece: Arrangement, asked: str, source_name: str, seed: int
) -> dict[str, Any]:
    """Figures of what comes back, of a true re-arrangement, and of the source left alone."""
    random, roles = np.random.default_rng([0x6E4E, seed]), SOURCES[source_name]
    rendered = render_parts(renderer, piece, [role for role in roles if role != TUNE], random)
    source = Sound(rendered.mix(*roles), RATE_HZ)
    stems = exam.model.arrange(source, f"turn this into {asked}", {"seed": seed})
    true = render_rearrangement(renderer, piece, asked, random)
    codec = {
        name: exam.model.reconstruct(Sound(part, RATE_HZ)) for name, part in true.parts.items()
    }
    mixes = {
        "stem": (mix_stems(stems), stems.get(TUNE)),
        "true": (Sound(true.mix(*true.parts), RATE_HZ), Sound(true.parts[TUNE], RATE_HZ)),
        "codec": (mix_stems(codec), codec[TUNE]),
        "copy": (source, source),
    }
    allowed, rows = legal_pitch_classes(piece), {}
    for row, (mix, tune) in mixes.items():
        name = exam.judge.name(mix)
        rows[row] = {
            "accuracy": float(name == asked),
            "before": float(name == piece.genre),
            **_chroma_figures(mix, tune, source),
            "harmony": harmony_share(mix, allowed),
        }
    heard = exam.judge.name(mixes["stem"][0])
    return {
        "genre": piece.genre,
        "asked": asked,
        "heard": heard,
        "source": source_name,
        "rows": rows,
    }


def mix_stems(stems: Mapping[str, Sound]) -> Sound:
    """The stems at their LEVELS_DB; one without a level is a mix and stays as it is."""
    if not set(stems) <= set(LEVELS_DB):
        return next(iter(stems.values()))
    parts = list(set_levels({name: stem.at(RATE_HZ) for name, stem in stems.items()}).values())
    return Sound(sum(parts, np.zeros_like(parts[0])), RATE_HZ)


def _recordings_results(exam: Exam) -> Iterator[dict[str, Any]]:
    """Each recording in three genres, which come round in turn."""
    names = exam.judge.names
    for index, (name, source) in enumerate(exam.read_recordings()):
        for offset in range(GENRES_PER_RECORDING):
            asked = names[(GENRES_PER_RECORDING * index + offset) % len(names)]
            knobs = {"seed": exam.options.seed}
            stems = exam.model.arrange(source, f"turn this into {asked}", knobs)
            mix = mix_stems(stems)
            heard = exam.judge.name(mix)
            yield {
                "recording": name,
                "asked": asked,
                "heard": heard,
                "accuracy": float(heard == asked),
                **_chroma_figures(mix, stems.get(TUNE), source),
            }


def _chroma_figures(mix: Sound, tune: Sound | None, source: Sound) -> dict[str, float]:
    return {
        "chroma": chroma_similarity(mix, source),
        "tune": chroma_similarity(tune, source) if tune else float("nan"),
    }


if __name__ == "__main__":
    sys.exit(main())
