"""`retimbre eval NAME ...`: judge the model, or results of any model."""

from __future__ import annotations

import argparse

from server.cli.elsewhere.handover import hand_over

EVALUATIONS = {
    "timbre": "evaluation.exams.timbre",
    "accompaniment": "evaluation.exams.accompaniment",
    "genre": "evaluation.exams.genre",
    "folder": "evaluation.exams.folder",
    "listen": "evaluation.exams.listen",
    "compare": "evaluation.exams.compare",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to judge; the rest of the line belongs to that evaluation."""
    parser.add_argument("evaluation", choices=tuple(EVALUATIONS), help="what to judge")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, metavar="...", help="its options; `--help` lists them"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the evaluation."""
    return hand_over(EVALUATIONS[arguments.evaluation], arguments.rest)
