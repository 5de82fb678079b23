"""What is wrong with which file, and why: a report of every clip, before hours are spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from presets.files import file_sha256
from training.dataset import layouts, near
from training.dataset.clips import Clip, DataError, level_db, samples_of

SILENT_DB = -60.0
CLIPPED_SHARE = 1e-3  # of samples at full scale
FULL_SCALE = 0.999
LOW_RATE_HZ = 16_000  # every family's model hears at least this much

# code -> (refused?, what to do)
KINDS: Mapping[str, tuple[bool, str]] = {
    "missing": (True, "it is in the list and not in the folder: put it there or delete its row"),
    "unreadable": (True, "replace it or take it out"),
    "empty": (True, "take it out"),
    "not_finite": (True, "it holds NaN or infinity: render it again"),
    "silent": (True, f"nothing above {SILENT_DB:g} dBFS: take it out"),
    "too_short": (True, "take it out, or ask for less with --min-seconds"),
    "no_caption": (True, "write NAME.txt beside it, or run: retimbre data caption"),
    "copy": (True, "the same file twice: delete one"),
    "near_copy": (
        True,
        "the same music twice: delete one, or give both the same track in the list",
    ),
    "leak": (True, "one recording stands in two splits: run retimbre data split"),
    "clipped": (False, "more than a sample in a thousand is at full scale"),
    "low_rate": (False, f"below {LOW_RATE_HZ} Hz: the model will learn its dullness"),
}


class Problem(NamedTuple):
    path: Path
    code: str
    detail: str = ""

    @property
    def is_refused(self) -> bool:
        return KINDS[self.code][0]

    def __str__(self) -> str:
        kind = "" if self.is_refused else "warning: "
        detail = f"{self.detail}; " if self.detail else ""
        return f"{self.path}: {kind}{self.code}: {detail}{KINDS[self.code][1]}"


@dataclass(frozen=True)
class Facts:
    """Of one file that could be read."""

    seconds: float
    rate_hz: int
    channels: int
    digest: str
    print: near.Print


@dataclass(frozen=True)
class Report:
    layout: str
    clips: Sequence[Clip]
    facts: Mapping[Path, Facts]
    problems: Sequence[Problem]

    @property
    def is_good(self) -> bool:
        return not any(problem.is_refused for problem in self.problems)

    @property
    def minutes(self) -> float:
        return sum(fact.seconds for fact in self.facts.values()) / 60

    def lines(self) -> Iterator[str]:
        """For people: every problem, then the sums."""
        yield from map(str, self.problems)
        facts = self.facts.values()
        kinds = Counter(f"{fact.rate_hz} Hz x {fact.channels}" for fact in facts)
        splits = Counter(clip.split or "undecided" for clip in self.clips)
        tracks = len({clip.track for clip in self.clips})
        sums = f"{len(self.clips)} clips of {tracks} recordings, {self.minutes:.1f} minutes"
        yield f"{sums}; layout {self.layout}"
        yield "sound: " + (
            ", ".join(f"{count} at {kind}" for kind, count in kinds.items()) or "none could be read"
        )
        yield "splits: " + ", ".join(f"{count} {split}" for split, count in splits.items())
        refused = len({problem.path for problem in self.problems if problem.is_refused})
        yield f"refused: {refused} files" if refused else "good: every file can be used"


def check(
    folder: Path,
    *,
    min_seconds: float = 1.0,
    captions: bool = True,
    near_copies: bool = True,
    advance: Callable[[], None] = lambda: None,
) -> Report:
    """Look at every clip and call `advance` after each. DataError: there are none."""
    clips, layout = layouts.read(folder)
    facts: dict[Path, Facts] = {}
    problems: list[Problem] = []
    for clip in clips:
        try:
            facts[clip.path], found = _facts(clip, min_seconds)
            problems += found
        except DataError as error:
            problems.append(Problem(clip.path, error.code, str(error.__cause__ or "")))
        if captions and not clip.text:
            problems.append(Problem(clip.path, "no_caption"))
        advance()
    problems += _copies(facts)
    if near_copies:
        problems += (
            Problem(a.path, "near_copy", f"like {b.path.name}, {likeness:.2f}")
            for a, b, likeness in alike([clip for clip in clips if clip.path in facts], facts)
        )
    problems += leaks(clips)
    return Report(layout, clips, facts, problems)


def _facts(clip: Clip, min_seconds: float) -> tuple[Facts, list[Problem]]:
    if not clip.path.is_file():
        raise DataError("missing", f"{clip.path} is not there")
    samples, rate_hz = samples_of(clip)
    seconds = len(samples) / rate_hz
    tests = {
        "not_finite": not np.isfinite(samples).all(),
        "silent": level_db(np.nan_to_num(samples)) < SILENT_DB,
        "too_short": seconds < min_seconds,
        "clipped": float(np.mean(np.abs(samples) >= FULL_SCALE)) > CLIPPED_SHARE,
        "low_rate": rate_hz < LOW_RATE_HZ,
    }
    details = {"too_short": f"{seconds:.2f} s of {min_seconds:g}", "low_rate": f"{rate_hz} Hz"}
    found = [
        Problem(clip.path, code, details.get(code, "")) for code, is_so in tests.items() if is_so
    ]
    print_ = near.print_of(np.nan_to_num(samples).mean(axis=1), rate_hz)
    return Facts(seconds, rate_hz, samples.shape[1], file_sha256(clip.path), print_), found


def alike(clips: Sequence[Clip], facts: Mapping[Path, Facts]) -> Iterator[tuple[Clip, Clip, float]]:
    """Near copies, each with the first that it is like; a recording may repeat itself."""
    reported: set[Path] = set()
    for first, second, likeness in near.twins([facts[clip.path].print for clip in clips]):
        a, b = clips[first], clips[second]
        if (
            a.track != b.track
            and facts[a.path].digest != facts[b.path].digest
            and b.path not in reported
        ):
            reported.add(b.path)
            yield b, a, likeness


def leaks(clips: Iterable[Clip]) -> Iterator[Problem]:
    """A track, or an artist, that stands in two splits."""
    for kind in ("track", "artist"):
        homes: dict[str, str] = {}
        for clip in clips:
            name = getattr(clip, kind)
            if name and clip.split and homes.setdefault(name, clip.split) != clip.split:
                yield Problem(
                    clip.path, "leak", f"{kind} {name!r} is in {homes[name]} and in {clip.split}"
                )


def _copies(facts: Mapping[Path, Facts]) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path, fact in facts.items():
        if (other := first.setdefault(fact.digest, path)) != path:
            yield Problem(path, "copy", f"equals {other.name}")
