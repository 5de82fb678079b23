"""Which recordings train, which judge.

Clips of one recording, or of one artist, never stand on both sides.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from training.dataset import check, layouts
from training.dataset.clips import SPLITS, Clip, DataError, summarise, write_list

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def split(folder: Path, shares: Mapping[str, float] = SHARES, seed: int = 0) -> list[Clip]:
    """The folder's list with every clip's split, decided anew.

    DataError unusable, near_copy, too_few_tracks.
    """
    report = check.check(folder, captions=False)
    near = [str(problem) for problem in report.problems if problem.code in ("near_copy", "copy")]
    if near:
        raise DataError("near_copy", "the same music would train and judge: " + summarise(near))
    bad = [
        str(problem) for problem in report.problems if problem.is_refused and problem.code != "leak"
    ]
    if bad:
        raise DataError("unusable", summarise(bad))
    decided = assign(
        report.clips, {path: fact.seconds for path, fact in report.facts.items()}, shares, seed
    )
    write_list(decided, folder)
    return decided


def assign(
    clips: Sequence[Clip],
    seconds: Mapping[Path, float],
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> list[Clip]:
    """Groups in random order, each to the split that lacks most of its share of the time.

    Training gets the first, validation the second group, so that neither is empty.
    """
    groups = _groups(clips)
    if len(groups) < 2:
        raise DataError(
            "too_few_tracks",
            "one recording cannot be split: its clips would train and judge; add others, "
            "or give its parts different tracks in the list",
        )
    random.Random(seed).shuffle(groups)
    wanted = [name for name in SPLITS if shares.get(name, 0) > 0]
    totals = dict.fromkeys(wanted, 0.0)
    homes: dict[Path, str] = {}
    for index, group in enumerate(groups):
        lacking = lambda name: (totals[name] + 1e-9) / shares[name]  # noqa: E731
        home = wanted[index] if index < min(2, len(wanted)) else min(wanted, key=lacking)
        totals[home] += sum(seconds[clip.path] for clip in group)
        homes.update((clip.path, home) for clip in group)
    return [replace(clip, split=homes[clip.path]) for clip in clips]


def parts(folder: Path) -> dict[str, list[Clip]]:
    """Split -> clips of a folder that is ready to train on. DataError not_split, leak."""
    clips, _ = layouts.read(folder)
    if found := list(check.leaks(clips)):
        raise DataError("leak", summarise([str(problem) for problem in found]))
    found_parts = {name: [clip for clip in clips if clip.split == name] for name in SPLITS}
    if not found_parts["train"] or not found_parts["validation"]:
        missing = "train" if not found_parts["train"] else "validation"
        raise DataError(
            "not_split",
            f"{folder} has {len(clips)} clips and no {missing} split; run: "
            f'retimbre data split "{folder}"',
        )
    if bare := [clip for clip in clips if not clip.text]:
        raise DataError(
            "no_caption",
            f"{len(bare)} clips have no caption, {bare[0].path.name} for one; run: "
            f'retimbre data caption "{folder}" --words …',
        )
    return found_parts


def _groups(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips that share a track or an artist, directly or by way of others."""
    owner: dict[str, str] = {}

    def root(name: str) -> str:
        while owner.setdefault(name, name) != name:
            name = owner[name]
        return name

    for clip in clips:
        if clip.artist:
            owner[root(f"track {clip.track}")] = root(f"artist {clip.artist}")
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(root(f"track {clip.track}"), []).append(clip)
    return [groups[name] for name in sorted(groups)]
