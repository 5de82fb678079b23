"""Recordings into clips that a style can be learned from: check, cut, caption, split, import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training.dataset.clips import DataError, write_list

GOOD, BAD = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """0: done or good, 1: refused, with the reasons on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except DataError as error:
        print(f"retimbre data {arguments.action}: {error}", file=sys.stderr)
        return BAD


def _parser() -> argparse.ArgumentParser:
    from training.dataset.cut import CUTS

    parser = argparse.ArgumentParser(prog="retimbre data", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: object, text: str) -> argparse.ArgumentParser:
        child = actions.add_parser(name, help=text, description=text)
        child.add_argument("folder", type=Path, help="folder of sounds")
        child.set_defaults(run=run)
        return child

    child = action("check", _check, "name every file that cannot be used, and why")
    child.add_argument(
        "--min-seconds", type=float, default=1.0, help="shorter files are refused (default 1)"
    )
    child.add_argument("--no-captions", action="store_true", help="captions come later")
    child = action("cut", _cut, "cut recordings into clips of one length, at one loudness")
    child.add_argument("target", type=Path, help="new folder for the clips")
    child.add_argument(
        "--seconds", type=float, default=10.0, help="10 (default) for AudioLDM2, 30 for MusicGen"
    )
    child.add_argument(
        "--by", choices=CUTS, default="silence", help="where to cut (default silence)"
    )
    child.add_argument("--overlap", type=float, default=0.0, metavar="SECONDS")
    child.add_argument(
        "--gate", type=float, default=-50.0, metavar="DBFS", help="quieter is silence (default -50)"
    )
    child.add_argument(
        "--loudness", default="-16", metavar="LUFS", help="of each recording (default -16), or none"
    )
    child = action("caption", _caption, "tempo, key and your words into captions")
    child.add_argument("--words", default="", help="for clips that have none")
    child.add_argument(
        "--template", action="append", metavar="TEXT", help='default "{words}, {bpm} BPM, {key}"'
    )
    child.add_argument("--trigger", default="", help="a rare word that will call the style")
    child.add_argument("--position", choices=("prepend", "append", "replace"), default="prepend")
    child.add_argument("--no-hearing", action="store_true", help="do not estimate tempo and key")
    child = action("split", _split, "decide by recording what trains and what judges")
    child.add_argument(
        "--shares", type=float, nargs=3, default=(0.8, 0.1, 0.1), metavar=("TRAIN", "VALID", "TEST")
    )
    child.add_argument("--seed", type=int, default=0)
    child = action(
        "import",
        _import,
        "write metadata.jsonl for another tool's folder (AudioCraft, ACE-Step, …)",
    )
    child.add_argument("--target", type=Path, help="folder for the list (default: the same)")
    return parser


def _bar(total: int | None, text: str):
    from tqdm import tqdm

    # None: quiet unless a terminal watches
    return tqdm(total=total, desc=text, unit="file", disable=None)


def _check(arguments: argparse.Namespace) -> int:
    from training.dataset.check import check

    with _bar(None, "check") as bar:
        report = check(
            arguments.folder,
            min_seconds=arguments.min_seconds,
            captions=not arguments.no_captions,
            advance=bar.update,
        )
    print("\n".join(report.lines()))
    return GOOD if report.is_good else BAD


def _cut(arguments: argparse.Namespace) -> int:
    from training.dataset.cut import Settings, cut

    loudness = None if arguments.loudness == "none" else _number(arguments.loudness)
    settings = Settings(
        arguments.seconds, arguments.by, arguments.overlap, arguments.gate, loudness
    )
    if not 0 <= settings.overlap_seconds < settings.seconds / 2:
        raise DataError("bad_args", f"--overlap: expected 0 to half of {settings.seconds:g} s")
    with _bar(None, "cut") as bar:
        result = cut(arguments.folder, arguments.target, settings, bar.update)
    print("\n".join(result.notes))
    share = 1 - result.seconds_out / result.seconds_in
    print(
        f"{len(result.clips)} clips, {result.seconds_out / 60:.1f} of {result.seconds_in / 60:.1f} minutes "
        f"({share:.0%} left out) in {arguments.target}"
    )
    return GOOD


def _caption(arguments: argparse.Namespace) -> int:
    from training.dataset.caption import TEMPLATES, Settings, caption

    settings = Settings(
        arguments.words,
        tuple(arguments.template or TEMPLATES),
        arguments.trigger,
        arguments.position,
        not arguments.no_hearing,
    )
    with _bar(None, "caption") as bar:
        clips = caption(arguments.folder, settings, bar.update)
    print(f"{len(clips)} captions, for example: {clips[0].text}")
    return GOOD


def _split(arguments: argparse.Namespace) -> int:
    from training.dataset.clips import SPLITS
    from training.dataset.split import split

    clips = split(
        arguments.folder, dict(zip(SPLITS, arguments.shares, strict=True)), arguments.seed
    )
    for name in SPLITS:
        chosen = [clip for clip in clips if clip.split == name]
        print(f"{name}: {len(chosen)} clips of {len({clip.track for clip in chosen})} recordings")
    return GOOD


def _import(arguments: argparse.Namespace) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
