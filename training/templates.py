"""Pages with gaps: a text file beside the code, and what is put into its gaps."""

from __future__ import annotations

from importlib import resources
from string import Template


def fill(package: str | None, template: str, /, **values: object) -> str:
    """The package's template with every $gap filled; KeyError names a gap without a value."""
    assert package, "a template lies in a package"
    text = resources.files(package).joinpath(template).read_text(encoding="utf-8")
    return Template(text).substitute(values)
