"""How do measured tables get into docs/? A command writes them between marks, people the rest.

<!-- steps -->            replace_block(page, "steps", table) replaces
| steps | ... |           what stands between the marks
<!-- /steps -->           and nothing else
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def replace_block(page: Path, name: str, text: str) -> None:
    """Replaces the text between the marks of `name`. ValueError if the page has no such marks."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, begin_found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, end_found, after = rest.partition(end)
    if not (begin_found and end_found):
        raise ValueError(
            f"{page}: expected the lines {begin.strip()} and {end.strip()}; "
            "put them where the table goes"
        )
    page.write_text(before + begin + text + end + after, encoding="utf-8")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def save_picture(figure: Figure, path: Path) -> None:
    """Writes the same file for the same figure."""
    import matplotlib

    path.parent.mkdir(exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=80)
