"""Let several methods edit the same sources, so that `retimbre eval folder` and `listen` can judge
them side by side.

ASKED is a CSV file with the columns source and text, and if you like name, negative, source_text
(what the source is: the inversions want it) and target. Results go to OUT/METHOD/NAME.wav and are
listed in OUT/pairs.csv. What is there is not made again, so an interrupted run goes on. Then:
retimbre eval folder OUT --clap laion/larger_clap_music
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.exams.pairs import LIST_NAME, Clip, PairsError, sound_of
from evaluation.metrics.similarity import Sound

AUDIOLDM2_RATE_HZ = 16_000
COLUMNS = ("name", "method", "text", "source", "output", "target")


@dataclass(frozen=True)
class Wish:
    """One edit that every method is asked for."""

    name: str
    source: Path
    text: str
    negative: str = ""
    source_text: str = ""
    target: Path | None = None


Edit = Callable[[Sound, Wish], Sound]


@dataclass(frozen=True)
class Method:
    """`load` reads the weights and gives (edit, values for the record).

    EngineError where weights are missing.
    """

    title: str
    load: Callable[[argparse.Namespace, Mapping[str, Any]], tuple[Edit, Mapping[str, Any]]]


def main(argv: Sequence[str] | None = None) -> int:
    """0: all made, 1: a list, weights or an option cannot be used, 2: wrong use."""
    from engine.errors import EngineError

    options = _parser().parse_args(argv)
    if unknown := sorted(set(options.methods) - set(METHODS)):
        print(
            f"retimbre eval compare: no method {unknown[0]!r}; there are {', '.join(METHODS)}",
            file=sys.stderr,
        )
        return 2
    try:
        compare(read_wishes(options.asked), options)
    except (PairsError, EngineError) as error:
        print(f"retimbre eval compare: {error}", file=sys.stderr)
        return 1
    print(f"retimbre eval folder {options.out}")
    return 0


def read_wishes(path: Path) -> list[Wish]:
    """At least one. PairsError names the line."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise PairsError(f"{path} cannot be read: {error}") from error
    wishes = [_wish(row, path, number) for number, row in enumerate(rows, start=2)]
    if len({wish.name for wish in wishes}) < len(wishes):
        raise PairsError(
            f"{path}: two rows have the same name; give each its own in the column name"
        )
    if not wishes:
        raise PairsError(
            f"{path}: nothing is asked for; expected a line source,text and at least one more"
        )
    return wishes


def compare(wishes: Sequence[Wish], options: argparse.Namespace) -> None:
    """Every method on every wish, into options.out. EngineError, PairsError."""
    options.out.mkdir(parents=True, exist_ok=True)
    rows, record = [], {}
    for name in options.methods:
        settings = {key: value for method, key, value in options.set if method == name}
        edit, record[name] = METHODS[name].load(options, settings)
        for wish in _track(wishes, METHODS[name].title):
            output = options.out / name / f"{wish.name}.wav"
            if not output.is_file():
                _write(output, edit(sound_of(Clip(wish.source)), wish))
            rows.append(
                {
                    "name": wish.name,
                    "method": name,
                    "text": wish.text,
                    "source": wish.source.resolve(),
                    "output": output.relative_to(options.out),
                    "target": wish.target.resolve() if wish.target else "",
                }
            )
    with open(options.out / LIST_NAME, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (options.out / "methods.json").write_text(
        json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8"
    )


def _source(_: argparse.Namespace, settings: Mapping[str, Any]) -> tuple[Edit, Mapping[str, Any]]:
    _all_known("source", settings, ())
    return (lambda sound, wish: sound), {}


def _nano(
    options: argparse.Namespace, settings: Mapping[str, Any]
) -> tuple[Edit, Mapping[str, Any]]:
    from evaluation.methods.subject import Nano

    nano, knobs = Nano(threads=options.threads), {"seed": options.seed, **settings}
    return (lambda sound, wish: nano.stem(sound, wish.text, knobs)), {**nano.describe(), **knobs}


def _ap_adapter(
    options: argparse.Namespace, settings: Mapping[str, Any]
) -> tuple[Edit, Mapping[str, Any]]:
    """The paper's values, except what --set says; the preset's adapter is the one in the models
    folder.
    """
    from engine.knobs import resolve
    from presets.style import ResolvedStyle

    family = _audioldm2(options)
    defaults = {**_defaults(), "seed": options.seed}
    resolve("words", settings, None, defaults)  # refuses what is unknown before hours are spent
    family.prepare(ResolvedStyle(), resolve("words", settings, None, defaults)[0])

    def edit(sound: Sound, wish: Wish) -> Sound:
        knobs, _ = resolve(wish.text, {"negative": wish.negative, **settings}, None, defaults)
        mono = family.editor.transferred(sound.at(AUDIOLDM2_RATE_HZ), knobs, knobs.strength)
        return Sound(mono, AUDIOLDM2_RATE_HZ)

    return edit, {**defaults, **settings, "files": family.files()}


def _baseline(
    name: str,
) -> Callable[[argparse.Namespace, Mapping[str, Any]], tuple[Edit, Mapping[str, Any]]]:
    def load(
        options: argparse.Namespace, settings: Mapping[str, Any]
    ) -> tuple[Edit, Mapping[str, Any]]:
        from evaluation.methods.baselines import DEFAULTS, edited

        values = DEFAULTS[name]
        _all_known(name, settings, [item.name for item in fields(values)])
        asked = replace(values, seed=options.seed, **settings)
        family = _audioldm2(options)

        def edit(sound: Sound, wish: Wish) -> Sound:
            ask = replace(
                asked,
                text=wish.text,
                source_text=wish.source_text,
                negative=wish.negative or asked.negative,
            )
            return Sound(
                edited(family.editor, sound.at(AUDIOLDM2_RATE_HZ), name, ask), AUDIOLDM2_RATE_HZ
            )

        return edit, {**asdict(asked), "files": family.files()}

    return load


METHODS: Mapping[str, Method] = {
    "source": Method("source unchanged", _source),
    "nano": Method("the embedded model", _nano),
    "ap_adapter": Method("AP-Adapter on AudioLDM2", _ap_adapter),
    "sdedit": Method("AudioLDM2-SDEdit", _baseline("sdedit")),
    "ddim_inversion": Method("DDIM inversion", _baseline("ddim_inversion")),
    "ddpm_inversion": Method("edit-friendly DDPM inversion", _baseline("ddpm_inversion")),
}


def _audioldm2(options: argparse.Namespace) -> Any:
    """The family, loaded once for all its methods. EngineError missing_weights."""
    if not hasattr(options, "audioldm2"):
        from engine.families.audioldm2.family import load

        options.audioldm2 = load(options.threads, options.models)
        options.audioldm2.warm_up()
    return options.audioldm2


def _defaults() -> Mapping[str, Any]:
    from engine.families.audioldm2.family import DEFAULTS

    return DEFAULTS


def _all_known(method: str, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := sorted(set(settings) - set(known)):
        raise PairsError(
            f"--set {method}.{unknown[0]}: {method} has {', '.join(known) or 'nothing to set'}"
        )


def _wish(row: Mapping[str, str], path: Path, number: int) -> Wish:
    cells = {
        column: value.strip() for column, value in row.items() if column and value and value.strip()
    }
    if absent := [column for column in ("source", "text") if column not in cells]:
        raise PairsError(f"{path}:{number}: expected something in the column {absent[0]}")
    files = {role: path.parent / cells.pop(role) for role in ("source", "target") if role in cells}
    for file in files.values():
        if not file.is_file():
            raise PairsError(f"{path}:{number}: {file} is not there")
    name = cells.pop("name", f"{number - 1:03d}_{files['source'].stem}")
    if Path(name).name != name:
        raise PairsError(f"{path}:{number}: the name {name!r} is no file name")
    texts = {key: cells[key] for key in ("text", "negative", "source_text") if key in cells}
    return Wish(name=name, **texts, **files)


def _write(path: Path, sound: Sound) -> None:
    """Whole or not at all: a file that is there is taken as done."""
    import soundfile

    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.wav")
    soundfile.write(partial, np.clip(sound.samples, -1, 1), sound.rate_hz, subtype="PCM_24")
    os.replace(partial, path)


def _track(items: Sequence[Wish], title: str) -> Iterator[Wish]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=title, console=Console(stderr=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "retimbre eval compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("asked", type=Path, metavar="ASKED")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--methods",
        type=lambda text: text.split(","),
        default=list(METHODS),
        metavar="NAME,…",
        help=f"of {', '.join(METHODS)} (default: all)",
    )
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder with AudioLDM2, AudioMAE and the adapter"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="METHOD.KEY=VALUE",
        help="other values than the published ones, such as sdedit.share=0.4",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


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


if __name__ == "__main__":
    sys.exit(main())
