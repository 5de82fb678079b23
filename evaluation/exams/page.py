"""Tables between marks in a page of docs/: what is measured is written by a command, what it means
by hand.

    <!-- steps -->            block(page, "steps", table) replaces
    | steps | ... |           what stands between the marks
    <!-- /steps -->           and nothing else
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def block(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the marks of `name`. ValueError if the page has no such marks."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, opened, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(
            f"{page}: expected the lines {begin.strip()} and {end.strip()}; put them where the table goes"
        )
    page.write_text(before + begin + text + end + after, encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)
    )


def save_picture(figure, path: Path) -> None:
    """The same figure gives the same file."""
    import matplotlib

    path.parent.mkdir(exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=80)
