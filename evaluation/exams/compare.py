"""Let several methods edit the same sources, so that others can judge them side by side.

ASKED is a CSV file with the columns source and text, and optionally name, negative, source_text
(what the source is, for the inversions) and target. Results go to OUT/METHOD/NAME.wav and are
listed in OUT/pairs.csv. A file that is there is not made again, so an interrupted run goes on.
Then: retimbre eval folder OUT --clap laion/larger_clap_music, or retimbre eval listen OUT
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import EngineError
from evaluation.corpus.results import LIST_NAME, FileRegion, ResultsError, read_sound, read_table
from evaluation.methods.models import Nano
from evaluation.metrics.sound import Sound
from evaluation.reporting.command import make_parser, option, print_error

if TYPE_CHECKING:
    from engine.families.audioldm2.family import AudioLdm2Family

PROG = "retimbre eval compare"
AUDIOLDM2_RATE_HZ = 16_000
COLUMNS = ("name", "method", "text", "source", "output", "target")


@dataclass(frozen=True)
class EditRequest:
    """One edit that every method is asked for."""

    name: str
    source: Path
    text: str
    negative: str = ""
    source_text: str = ""
    target: Path | None = None


Edit = Callable[[Sound, EditRequest], Sound]
Load = Callable[[argparse.Namespace, Mapping[str, Any]], tuple[Edit, Mapping[str, Any]]]


@dataclass(frozen=True)
class Method:
    """`load` reads the weights and gives (edit, values for the record). Raises EngineError."""

    title: str
    load: Load


def main(argv: Sequence[str] | None = None) -> int:
    """0: all made, 1: a list, weights or an option cannot be used, 2: wrong use."""
    options = make_parser(PROG, __doc__, OPTIONS).parse_args(argv)
    if unknown := sorted(set(options.methods) - set(METHODS)):
        print_error(PROG, f"no method {unknown[0]!r}; there are {', '.join(METHODS)}")
        return 2
    try:
        compare(read_requests(options.asked), options)
    except (ResultsError, EngineError) as error:
        print_error(PROG, error)
        return 1
    print(f"retimbre eval folder {options.out}")
    return 0


def read_requests(path: Path) -> list[EditRequest]:
    """At least one. ResultsError names the line."""
    try:
        rows = list(read_table(path))
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error
    requests = [_parse_request(cells, path, number) for number, cells in rows]
    if len({request.name for request in requests}) < len(requests):
        raise ResultsError(
            f"{path}: two rows have the same name; give each its own in the column name"
        )
    if not requests:
        raise ResultsError(
            f"{path}: nothing is asked for; expected a line source,text and at least one more"
        )
    return requests


def _parse_request(cells: dict[str, str], path: Path, number: int) -> EditRequest:
    where = f"{path}:{number}"
    for column in ("source", "text"):
        if column not in cells:
            raise ResultsError(f"{where}: expected something in the column {column}")
    source = path.parent / cells["source"]
    target = path.parent / cells["target"] if "target" in cells else None
    for file in filter(None, (source, target)):
        if not file.is_file():
            raise ResultsError(f"{where}: {file} is not there")
    name = cells.get("name", f"{number - 1:03d}_{source.stem}")
    if Path(name).name != name:
        raise ResultsError(f"{where}: the name {name!r} is no file name")
    negative, source_text = cells.get("negative", ""), cells.get("source_text", "")
    return EditRequest(name, source, cells["text"], negative, source_text, target)


def compare(requests: Sequence[EditRequest], options: argparse.Namespace) -> None:
    """Every method on every request, into options.out. EngineError, ResultsError."""
    from rich.console import Console
    from rich.progress import track

    options.out.mkdir(parents=True, exist_ok=True)
    console, rows, record = Console(stderr=True), [], {}
    for name in options.methods:
        settings = {key: value for method, key, value in options.set if method == name}
        edit, record[name] = METHODS[name].load(options, settings)
        for request in track(requests, description=METHODS[name].title, console=console):
            output = options.out / name / f"{request.name}.wav"
            if not output.is_file():
                _write(output, edit(read_sound(FileRegion(request.source)), request))
            rows.append(
                {
                    "name": request.name,
                    "method": name,
                    "text": request.text,
                    "source": request.source.resolve(),
                    "output": output.relative_to(options.out),
                    "target": request.target.resolve() if request.target else "",
                }
            )
    with open(options.out / LIST_NAME, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    text = json.dumps(record, indent=1, default=str) + "\n"
    (options.out / "methods.json").write_text(text, encoding="utf-8")


def _load_source(
    _: argparse.Namespace, settings: Mapping[str, Any]
) -> tuple[Edit, Mapping[str, Any]]:
    _check_settings("source", settings, ())
    return (lambda sound, request: sound), {}


def _load_nano(
    options: argparse.Namespace, settings: Mapping[str, Any]
) -> tuple[Edit, Mapping[str, Any]]:
    nano, knobs = Nano(threads=options.threads), {"seed": options.seed, **settings}
    record = {**nano.describe(), **knobs}
    return (lambda sound, request: nano.edit(sound, request.text, knobs)), record


def _load_ap_adapter(
    options: argparse.Namespace, settings: Mapping[str, Any]
) -> tuple[Edit, Mapping[str, Any]]:
    """The paper's values, except what --set says, and the adapter in the models folder."""
    from engine.families.audioldm2.family import DEFAULTS
    from engine.knobs import resolve
    from presets.style import ResolvedStyle

    family = _load_audioldm2(options)
    defaults = {**DEFAULTS, "seed": options.seed}
    resolve("words", settings, None, defaults)  # refuses what is unknown before hours are spent
    family.prepare(ResolvedStyle(), resolve("words", settings, None, defaults)[0])

    def edit(sound: Sound, request: EditRequest) -> Sound:
        knobs, _ = resolve(request.text, {"negative": request.negative, **settings}, None, defaults)
        mono = family.editor.transfer(sound.at(AUDIOLDM2_RATE_HZ), knobs, knobs.strength)
        return Sound(mono, AUDIOLDM2_RATE_HZ)

    return edit, {**defaults, **settings, "files": family.files()}


def _load_baseline(name: str) -> Load:
    def load(
        options: argparse.Namespace, settings: Mapping[str, Any]
    ) -> tuple[Edit, Mapping[str, Any]]:
        from evaluation.methods import baselines

        defaults = baselines.DEFAULTS[name]
        _check_settings(name, settings, [item.name for item in fields(defaults)])
        common = replace(defaults, seed=options.seed, **settings)
        family = _load_audioldm2(options)

        def edit(sound: Sound, request: EditRequest) -> Sound:
            own = replace(
                common,
                text=request.text,
                source_text=request.source_text,
                negative=request.negative or common.negative,
            )
            mono = baselines.edit(family.editor, sound.at(AUDIOLDM2_RATE_HZ), name, own)
            return Sound(mono, AUDIOLDM2_RATE_HZ)

        return edit, {**asdict(common), "files": family.files()}

    return load


METHODS: Mapping[str, Method] = {
    "source": Method("source unchanged", _load_source),
    "nano": Method("the embedded model", _load_nano),
    "ap_adapter": Method("AP-Adapter on AudioLDM2", _load_ap_adapter),
    "sdedit": Method("AudioLDM2-SDEdit", _load_baseline("sdedit")),
    "ddim_inversion": Method("DDIM inversion", _load_baseline("ddim_inversion")),
    "ddpm_inversion": Method("edit-friendly DDPM inversion", _load_baseline("ddpm_inversion")),
}


def _load_audioldm2(options: argparse.Namespace) -> AudioLdm2Family:
    """The family, loaded once for all its methods. EngineError missing_weights."""
    if not hasattr(options, "audioldm2"):
        from engine.families.audioldm2.family import load

        options.audioldm2 = load(options.threads, options.models)
        options.audioldm2.warm_up()
    return options.audioldm2


def _check_settings(method: str, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := sorted(set(settings) - set(known)):
        raise ResultsError(
            f"--set {method}.{unknown[0]}: {method} has {', '.join(known) or 'nothing to set'}"
        )


def _write(path: Path, sound: Sound) -> None:
    """Whole or not at all: a file that is there is taken as done."""
    import soundfile

    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.wav")
    soundfile.write(partial, np.clip(sound.samples, -1, 1), sound.rate_hz, subtype="PCM_24")
    os.replace(partial, path)


def _setting(text: str) -> tuple[str, str, Any]:
    name, equals, value = text.partition("=")
    method, dot, key = name.partition(".")
    if not (equals and dot and method in METHODS):
        raise argparse.ArgumentTypeError(
            f"expected METHOD.KEY=VALUE with a method of {', '.join(METHODS)}, got {text!r}"
        )
    try:
        return method, key, json.loads(value)
    except json.JSONDecodeError:
        return method, key, value


# fmt: off
OPTIONS = (
    option("asked", type=Path, metavar="ASKED"),
    option("--out", type=Path, required=True),
    option("--methods", f"of {', '.join(METHODS)} (default: all)", default=list(METHODS),
           type=lambda text: text.split(","), metavar="NAME,…"),
    option("--models", "folder with AudioLDM2, AudioMAE and the adapter", type=Path, metavar="DIR"),
    option("--set", "other values than the published ones, such as sdedit.share=0.4",
           action="append", default=[], type=_setting, metavar="METHOD.KEY=VALUE"),
    option("--seed", type=int, default=0),
    option("--threads", type=int, default=os.cpu_count() or 1),
)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
