"""Recordings into clips that a style can be learned from: check, cut, caption, split, import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.cli_table import Action, Arguments, build_parser
from training.dataset.clips import DataError, write_list

GOOD, BAD = 0, 1


def _bar(text: str) -> Any:
    from tqdm import tqdm

    # disable=None: quiet unless a terminal watches
    return tqdm(desc=text, unit="file", disable=None)


def _run_check(arguments: argparse.Namespace) -> int:
    from training.dataset.check import check

    with _bar("check") as bar:
        report = check(
            arguments.folder,
            min_seconds=arguments.min_seconds,
            captions=not arguments.no_captions,
            advance=bar.update,
        )
    print("\n".join(report.lines()))
    return GOOD if report.is_good else BAD


def _run_cut(arguments: argparse.Namespace) -> int:
    from training.dataset.cut import Settings, cut

    loudness = None if arguments.loudness == "none" else _number(arguments.loudness)
    settings = Settings(
        arguments.seconds, arguments.by, arguments.overlap, arguments.gate, loudness
    )
    if not 0 <= settings.overlap_seconds < settings.seconds / 2:
        raise DataError("bad_args", f"--overlap: expected 0 to half of {settings.seconds:g} s")
    with _bar("cut") as bar:
        result = cut(arguments.folder, arguments.target, settings, bar.update)
    print("\n".join(result.notes))
    share = 1 - result.seconds_out / result.seconds_in
    print(
        f"{len(result.clips)} clips, {result.seconds_out / 60:.1f} of "
        f"{result.seconds_in / 60:.1f} minutes ({share:.0%} left out) in {arguments.target}"
    )
    return GOOD


def _run_caption(arguments: argparse.Namespace) -> int:
    from training.dataset.caption import TEMPLATES, Settings, caption

    settings = Settings(
        arguments.words,
        tuple(arguments.template or TEMPLATES),
        arguments.trigger,
        arguments.position,
        not arguments.no_hearing,
    )
    with _bar("caption") as bar:
        clips = caption(arguments.folder, settings, bar.update)
    print(f"{len(clips)} captions, for example: {clips[0].text}")
    return GOOD


def _run_split(arguments: argparse.Namespace) -> int:
    from training.dataset.clips import SPLITS
    from training.dataset.split import split

    clips = split(
        arguments.folder, dict(zip(SPLITS, arguments.shares, strict=True)), arguments.seed
    )
    for name in SPLITS:
        chosen = [clip for clip in clips if clip.split == name]
        print(f"{name}: {len(chosen)} clips of {len({clip.track for clip in chosen})} recordings")
    return GOOD


def _run_import(arguments: argparse.Namespace) -> int:
    from training.dataset import layouts

    clips, layout = layouts.read(arguments.folder)
    target = arguments.target or arguments.folder
    target.mkdir(parents=True, exist_ok=True)
    print(f"{len(clips)} clips of layout {layout}: {write_list(clips, target)}")
    return GOOD


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(
            "bad_args", f"--loudness: expected a number of LUFS or none, got {text!r}"
        ) from None


FOLDER: Arguments = {"folder": {"type": Path, "help": "folder of sounds"}}
CUT_PLACES = ("silence", "beat", "fixed")  # of training.dataset.cut.CUTS, which is imported later
# fmt: off
CHECK: Arguments = {
    **FOLDER,
    "--min-seconds": {"type": float, "default": 1.0,
                      "help": "shorter files are refused (default 1)"},
    "--no-captions": {"action": "store_true", "help": "captions come later"},
}
CUT: Arguments = {
    **FOLDER,
    "target": {"type": Path, "help": "new folder for the clips"},
    "--seconds": {"type": float, "default": 10.0,
                  "help": "10 (default) for AudioLDM2, 30 for MusicGen"},
    "--by": {"choices": CUT_PLACES, "default": "silence", "help": "where to cut (default silence)"},
    "--overlap": {"type": float, "default": 0.0, "metavar": "SECONDS"},
    "--gate": {"type": float, "default": -50.0, "metavar": "DBFS",
               "help": "quieter is silence (default -50)"},
    "--loudness": {"default": "-16", "metavar": "LUFS",
                   "help": "of each recording (default -16), or none"},
}
CAPTION: Arguments = {
    **FOLDER,
    "--words": {"default": "", "help": "for clips that have none"},
    "--template": {"action": "append", "metavar": "TEXT",
                   "help": 'default "{words}, {bpm} BPM, {key}"'},
    "--trigger": {"default": "", "help": "a rare word that will call the style"},
    "--position": {"choices": ("prepend", "append", "replace"), "default": "prepend"},
    "--no-hearing": {"action": "store_true", "help": "do not estimate tempo and key"},
}
SPLIT: Arguments = {
    **FOLDER,
    "--shares": {"type": float, "nargs": 3, "default": (0.8, 0.1, 0.1),
                 "metavar": ("TRAIN", "VALID", "TEST")},
    "--seed": {"type": int, "default": 0},
}
IMPORT: Arguments = {
    **FOLDER,
    "--target": {"type": Path, "help": "folder for the list (default: the same)"},
}
ACTIONS = (
    Action("check", _run_check, "name every file that cannot be used, and why", CHECK),
    Action("cut", _run_cut, "cut recordings into clips of one length, at one loudness", CUT),
    Action("caption", _run_caption, "tempo, key and your words into captions", CAPTION),
    Action("split", _run_split, "decide by recording what trains and what judges", SPLIT),
    Action("import", _run_import,
           "write metadata.jsonl for another tool's folder (AudioCraft, ACE-Step, …)", IMPORT),
)
# fmt: on


def main(argv: Sequence[str] | None = None) -> int:
    """0: done or good, 1: refused, with the reasons on stderr."""
    arguments = build_parser("retimbre data", __doc__, ACTIONS).parse_args(argv)
    try:
        return arguments.run(arguments)
    except DataError as error:
        print(f"retimbre data {arguments.action}: {error}", file=sys.stderr)
        return BAD


if __name__ == "__main__":
    sys.exit(main())
