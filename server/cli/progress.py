"""A progress bar on a terminal, a line a stage elsewhere; on stderr, since stdout has results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from retimbre_client import Progress


@contextlib.contextmanager
def progress_bar(title: str, quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A function to hand to Client.edit. `quiet` shows nothing."""
    if quiet:
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar(title) as show:
            yield show
    else:
        yield _Lines(title)


class _Lines:
    def __init__(self, title: str) -> None:
        self._title, self._stage = title, ""

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self._stage = progress.stage
            print(f"{self._title}: {progress.stage}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[stage]:<12}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, stage="sending")

        def show(progress: Progress) -> None:
            known = progress.fraction >= 0
            stage = (
                f"place {progress.queue_position} in the queue"
                if progress.queue_position
                else progress.stage
            )
            bar.update(
                task,
                stage=stage,
                total=1.0 if known else None,
                completed=progress.fraction if known else 0,
            )

        yield show
        bar.update(task, stage="done", total=1.0, completed=1.0)
