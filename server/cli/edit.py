"""Turn one audio file, or a part of it, into a stem.

retimbre edit solo.wav "turn this into a violin" -o violin.wav
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retimbre_client import Client, Outcome, Progress

from osc_protocol import EDIT_KEYS, Arg
from osc_protocol.arguments import BadArgument, nearest, take
from server import config
from server.cli.errors import EXIT_OK, EXIT_USAGE, CliError
from server.cli.progress import progress_bar
from server.cli.session import Session, session

FORMATS = {".wav": "wav", ".flac": "flac", ".aiff": "aiff", ".aif": "aiff"}
NOT_FLAGS = ("out", "beats_start", "format")  # OUT says where and in which format


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """IN, TEXT and OUT, a flag for each key of the protocol's table, and the client's options."""
    parser.add_argument("input", metavar="IN", type=Path, help="audio file: WAV, AIFF or FLAC")
    parser.add_argument(
        "text", metavar="TEXT", help='what to do, in words: "turn this into a violin"'
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="the stem; its ending chooses the format "
        "(default: beside IN, with -edited in its name)",
    )
    parser.add_argument("--force", action="store_true", help="write over OUT if it is there")
    parser.add_argument(
        "--json", action="store_true", help="print the manifest (JSON) on standard output"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    knobs = parser.add_argument_group("knobs", "left out: what the style or the model prefers")
    for key in EDIT_KEYS.values():
        if key.name not in NOT_FLAGS:
            knobs.add_argument(
                f"--{key.name}", dest=f"key_{key.name}", metavar=_metavar(key), help=_help(key)
            )
    knobs.add_argument(
        "--set",
        dest="pairs",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any knob by name; may be given several times",
    )
    config.add_arguments(parser.add_argument_group("server"), config.ClientConfig)


def run(arguments: argparse.Namespace) -> int:
    """Send the job, wait, put the stem at OUT. Returns 0 only when it lies there."""
    source = _source(arguments.input)
    target = arguments.output or source.with_name(f"{source.stem}-edited.wav")
    keys = {"format": _format(target), **_keys(arguments)}
    _refuse_overwrite(target, arguments.force)
    options = config.build(config.ClientConfig, vars(arguments))
    with (
        session(options, roots=[source.parent]) as server,
        progress_bar(source.name, arguments.quiet) as show,
    ):
        outcome, manifest, files = edit(
            server, source, target, arguments.text, keys, show, arguments.force
        )
    print(manifest if arguments.json else _summary(outcome, files))
    return EXIT_OK


def edit(
    server: Session,
    source: Path,
    target: Path,
    text: str,
    keys: dict[str, Any],
    show: Callable[[Progress], None],
    force: bool = False,
) -> tuple[Outcome, str, list[Path]]:
    """Run one job and put its stems at `target`: the outcome, the manifest's text, the files."""
    outcome = server.client.edit(source, text, on_progress=show, **keys)
    files = _collect(server.client, outcome, target, force)
    assert outcome.manifest is not None  # every edit has one
    return outcome, server.client.read(outcome.manifest).decode("utf-8"), files


def _collect(client: Client, outcome: Outcome, target: Path, force: bool) -> list[Path]:
    """Copy each stem to its place. The server keeps its own, as a take."""
    files = _stem_paths(target, [stem.name for stem in outcome.stems])
    if not files:
        raise CliError(
            "internal",
            "the job ended well but no stem came back; please report this with server.log",
        )
    for stem, file in zip(outcome.stems, files, strict=True):
        _refuse_overwrite(file, force)
        client.fetch(stem, file)
    return files


def _stem_paths(target: Path, names: Sequence[str]) -> list[Path]:
    """OUT.wav for one stem, OUT-bass.wav and OUT-drums.wav for several, then OUT-bass-2.wav."""
    parts = names if len(set(names)) > 1 else [""] * len(names)
    seen: dict[str, int] = {}
    paths = []
    for part in parts:
        seen[part] = seen.get(part, 0) + 1
        tail = "-".join(filter(None, (part, str(seen[part]) if seen[part] > 1 else "")))
        paths.append(target.with_name(f"{target.stem}-{tail}{target.suffix}") if tail else target)
    return paths


def _source(path: Path) -> Path:
    if not path.is_file():
        raise CliError("no_file", f"{path}: no such file; expected an audio file", EXIT_USAGE)
    return path.resolve()


def _format(target: Path) -> str:
    if target.suffix.lower() not in FORMATS:
        raise CliError(
            "bad_args",
            f"{target}: expected a name that ends with {' or '.join(FORMATS)}",
            EXIT_USAGE,
        )
    return FORMATS[target.suffix.lower()]


def _refuse_overwrite(target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise CliError(
            "file_exists", f"{target} is there already; --force writes over it", EXIT_USAGE
        )
    if not target.absolute().parent.is_dir():
        raise CliError("no_file", f"{target}: its folder does not exist; make it first", EXIT_USAGE)


def _keys(arguments: argparse.Namespace) -> dict[str, Any]:
    """The knobs of the flags, each checked against the protocol's table. CliError bad_args."""
    flags = {name: getattr(arguments, f"key_{name}", None) for name in EDIT_KEYS}
    given = {name: text for name, text in flags.items() if text is not None}
    for pair in arguments.pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in EDIT_KEYS:
            near = nearest(name, EDIT_KEYS)
            hint = (
                f"did you mean {near}?" if near and equals else "there are: " + " ".join(EDIT_KEYS)
            )
            raise CliError(
                "bad_args", f"--set {pair}: expected KEY=VALUE with a known key; {hint}", EXIT_USAGE
            )
        given[name] = text
    try:
        return {name: take(EDIT_KEYS[name], text) for name, text in given.items()}
    except BadArgument as error:
        raise CliError("bad_args", str(error), EXIT_USAGE) from error


def _metavar(key: Arg) -> str:
    if key.choices:
        return "{" + ",".join(key.choices) + "}"
    return {"i": "N", "f": "X", "s": "TEXT"}[key.type]


def _help(key: Arg) -> str:
    is_number = key.type != "s" and key.low is not None and key.high
    span = f"{key.low:g} to {key.high:g}" if is_number else ""
    unit = ", ".join(filter(None, (key.unit, span)))
    return (f"{key.help} [{unit}]" if unit else key.help).replace("%", "%%")


def _summary(outcome: Outcome, files: Sequence[Path]) -> str:
    lines = [
        f"{file}  {stem.rate_hz} Hz, {stem.channels} ch, {stem.frames} frames"
        for stem, file in zip(outcome.stems, files, strict=True)
    ]
    return "\n".join(
        [*lines, f"seed {outcome.seed}, {outcome.seconds:.1f} s, manifest {outcome.manifest}"]
    )
