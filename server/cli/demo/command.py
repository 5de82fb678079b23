"""The main job once, as any client does it: a region and words over OSC, stems, a picture."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import time
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from server import config
from server.cli.edit import edit
from server.cli.errors import EXIT_OK, EXIT_USAGE, CliError
from server.cli.progress import progress_bar
from server.cli.session import Session, session
from server.paths import DEMO_REGION

TEXTS = ("turn this into a violin", "church organ please")
SEED = 7  # any: two people who run the demo hear the same
FOLDER = Path("retimbre-demo")


@dataclass(frozen=True)
class Take:
    """One text and the file that came of it."""

    text: str
    stem: Path
    manifest: dict
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to leave the files, and what to say."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="a new folder (default: ./retimbre-demo, or the next free number)",
    )
    parser.add_argument(
        "--region", type=Path, metavar="FILE", default=DEMO_REGION, help="another recording"
    )
    parser.add_argument(
        "--text",
        action="append",
        metavar="TEXT",
        help=f"other words; may be given several times (default: {' and '.join(map(repr, TEXTS))})",
    )
    config.add_arguments(parser.add_argument_group("server"), config.ClientConfig)


def run(arguments: argparse.Namespace) -> int:
    """Start a server unless one runs, send the region, wait for the stems, draw them."""
    if importlib.util.find_spec("matplotlib") is None:
        raise CliError(
            "missing_extra",
            "the picture needs matplotlib; run: pip install -e '.[cpu]'",
            EXIT_USAGE,
        )
    if not arguments.region.is_file():
        raise CliError("no_file", f"{arguments.region}: no such file", EXIT_USAGE)
    options = config.build(config.ClientConfig, vars(arguments))
    folder = _new_folder(arguments.output)
    region = _region(arguments.region, folder)
    began = time.monotonic()
    with session(options, roots=[folder]) as server:
        print(
            f"{'started a server' if server.is_ours else 'using the server that runs'}: "
            f"OSC at {server.client.host} port {server.client.port}, ready for requests "
            f"after {time.monotonic() - began:.1f} s",
            flush=True,
        )
        takes = [_take(server, region, text, folder) for text in arguments.text or TEXTS]
    picture = _picture(region, takes, folder)
    print(_summary(region, takes, picture))
    return EXIT_OK


def _take(server: Session, region: Path, text: str, folder: Path) -> Take:
    stem = folder / f"{_file_name(text)}.wav"
    began = time.monotonic()
    with progress_bar(text) as show:
        _, manifest, _ = edit(server, region, stem, text, {"seed": SEED, "format": "wav"}, show)
    seconds = time.monotonic() - began
    stem.with_suffix(".json").write_text(manifest, encoding="utf-8")
    return Take(text, stem, json.loads(manifest), seconds)


def _new_folder(wanted: Path | None) -> Path:
    """The wanted folder, which must be new; else the first free of retimbre-demo, -2, -3."""
    if wanted is None:
        numbered = (FOLDER.with_name(f"{FOLDER.name}-{number}") for number in count(2))
        wanted = next(folder for folder in chain([FOLDER], numbered) if not folder.exists())
    elif wanted.exists():
        raise CliError("file_exists", f"{wanted} is there already; name a new folder", EXIT_USAGE)
    wanted.mkdir(parents=True)
    return wanted.resolve()


def _region(source: Path, folder: Path) -> Path:
    """The recording as a WAV file, which any program plays."""
    target = folder / "region.wav"
    if source.suffix.lower() == ".wav":
        shutil.copyfile(source, target)
        return target
    import soundfile

    samples, rate_hz = soundfile.read(source, dtype="int32", always_2d=True)
    soundfile.write(target, samples, rate_hz, subtype="PCM_24")
    return target


def _picture(region: Path, takes: list[Take], folder: Path) -> Path:
    from server.cli.demo.picture import draw

    rows = [
        ("before: the region", region),
        *((f'after: "{take.text}"', take.stem) for take in takes),
    ]
    return draw(rows, folder / "before-and-after.png")


def _file_name(text: str) -> str:
    return (
        "-".join("".join(letter if letter.isalnum() else " " for letter in text).split())[:60]
        or "stem"
    )


def _summary(region: Path, takes: list[Take], picture: Path) -> str:
    lines = ["", f"In {region.parent}:", f"  {region.name:<32} what was sent"]
    for take in takes:
        stem = take.manifest["stems"][0]
        lines += [
            f'  {take.stem.name:<32} "{take.text}": {stem["frames"]} frames at '
            f"{stem['rate_hz']} Hz, as the region; {take.seconds:.1f} s",
            f"  {take.stem.with_suffix('.json').name:<32} its manifest: how to make it again",
        ]
    lines += [
        f"  {picture.name:<32} waveform and spectrogram of each",
        "",
        "Next: retimbre serve, and send /retimbre/edit from your own patch; "
        'or retimbre edit YOUR.wav "make it a cello" -o cello.wav',
    ]
    return "\n".join(lines)
