"""`retimbre eval timbre|accompaniment|genre|folder|listen|compare ...`: hands over to the
evaluation of that name.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util

from server.cli.main import EXIT_USAGE, CliError

EVALUATIONS = {
    "timbre": "evaluation.exams.timbre",
    "accompaniment": "evaluation.exams.accompaniment",
    "genre": "evaluation.exams.genre",
    "folder": "evaluation.exams.folder",
    "listen": "evaluation.exams.listen",
    "compare": "evaluation.methods.compare",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to judge; the rest belongs to the evaluation."""
    parser.add_argument("evaluation", choices=EVALUATIONS, help="what to judge")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, metavar="...", help="its options; `--help` lists them"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the evaluation's own `main`, or say which extra is missing."""
    try:
        module = importlib.import_module(EVALUATIONS[arguments.evaluation])
        return module.main(arguments.rest) or 0
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("evaluation", "engine", "training"):
            raise  # ours: a bug, not a missing extra
        raise CliError(
            "missing_extra",
            f"the evaluation needs {error.name}, which is not installed; "
            "run: pip install -e '.[cpu,train]'",
            EXIT_USAGE,
        ) from error
