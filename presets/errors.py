"""Errors of presets: a code for programs, and file, line, field and cure for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one file; `line` counts from 1, 0 where the file has no such line."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return (
            f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"
        )


class PresetError(ValueError):
    """A preset that cannot be used. `code` is bad_preset or unknown_preset."""

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = tuple(problems)

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> PresetError:
        """The error of one file: every problem found in it, one a line."""
        return cls("bad_preset", "\n".join(map(str, problems)), problems)
