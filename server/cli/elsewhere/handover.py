"""Hand a command line over to a module of another package, which an extra may have to bring."""

from __future__ import annotations

import importlib
from pathlib import Path

from server.cli.errors import EXIT_USAGE, CliError

OURS = ("engine", "evaluation", "presets", "training")


def hand_over(module: str, argv: list[str], **folders: Path) -> int:
    """Run a module's `main(argv, **folders)` and return its exit code. CliError missing_extra."""
    try:
        return importlib.import_module(module).main(argv, **folders) or 0
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in OURS:
            raise  # ours: a bug, not a missing extra
        raise CliError(
            "missing_extra",
            f"this needs {error.name}, which is not installed; "
            "run: pip install 'retimbre[cpu,train]'",
            EXIT_USAGE,
        ) from error
