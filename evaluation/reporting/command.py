"""What do the evaluation commands share? Options as a table, a console, progress, and JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")


class Option(NamedTuple):
    """A flag or a positional argument, and argparse's settings for it."""

    name: str
    settings: Mapping[str, Any]


def option(name: str, help: str | None = None, **settings: Any) -> Option:
    return Option(name, {"help": help, **settings})


def make_parser(
    prog: str, description: str | None, options: Iterable[Option]
) -> argparse.ArgumentParser:
    """A parser that shows the description as it is written."""
    parser = argparse.ArgumentParser(
        prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, settings in options:
        parser.add_argument(name, **settings)
    return parser


RECORDINGS = option("--recordings", "folder of real recordings", type=Path, metavar="DIR")
WEIGHTS = option(
    "--weights", "weights of nano (default: those that are shipped)", type=Path, metavar="DIR"
)
JSON = option("--json", "write all figures there ('-': to stdout)", type=Path, metavar="FILE")
CHECK = option("--check", "exit 1 if a goal is missed", action="store_true")


def print_error(prog: str, error: object) -> None:
    print(f"{prog}: {error}", file=sys.stderr)


def check_recordings(prog: str, folder: Path | None) -> bool:
    """Whether the folder can be examined, or none was given; otherwise says why on stderr."""
    if folder is None or folder.is_dir():
        return True
    print_error(prog, f"{folder} is not a folder: give one with audio files")
    return False


def ignore_librosa_warnings() -> None:
    """librosa comments on every short CQT octave."""
    warnings.filterwarnings("ignore", module="librosa")


def open_console(json_path: Path | None, width: int) -> Console:
    """stdout, or stderr where stdout takes the JSON; `width` counts in files and pipes."""
    from rich.console import Console

    return Console(stderr=str(json_path) == "-", width=None if sys.stdout.isatty() else width)


def make_progress(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def track(
    console: Console, items: Iterable[Item], title: str, total: int | None = None
) -> Iterator[Item]:
    """The items, with a bar."""
    with make_progress(console) as progress:
        yield from progress.track(items, total=total, description=title)


def write_json(report: Mapping[str, Any], path: Path | None, ensure_ascii: bool = True) -> None:
    """The report without nan; '-': to stdout. None: nowhere."""
    if path is None:
        return
    text = json.dumps(replace_nan(report), indent=1, ensure_ascii=ensure_ascii)
    if str(path) == "-":
        print(text)
    else:
        path.write_text(text + "\n", encoding="utf-8")


def replace_nan(value: Any) -> Any:
    """JSON has no nan: null instead."""
    if isinstance(value, Mapping):
        return {key: replace_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
