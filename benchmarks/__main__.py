"""Measure, and show each figure beside its goal.

    python -m benchmarks all                              a table
    python -m benchmarks all --out docs/benchmarks.md     and a page
    python -m benchmarks ack upload --json figures.json   some of it, and JSON
    python -m benchmarks load soak --soak-seconds 3600    many clients, for long: not part of all
    python -m benchmarks graphs scaling                   nano: precisions, styles, lengths
    python -m benchmarks audioldm2 musicgen --plot m.svg  beside diffusers and transformers

Leave the machine alone meanwhile: a second busy process costs more than what is measured here.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from retimbre_client import ClientError

from benchmarks import figures, plot
from benchmarks.figures import Figure
from benchmarks.setting import QUICK, Setting, Sizes
from server.status import version

MODULES = ("command_line", "start", "turnaround", "ack", "upload", "memory")
LONG = ("load", "soak")  # only when named: they take many minutes
MODELS = ("graphs", "scaling", "audioldm2", "musicgen")  # only when named: they need torch

SIZE_OPTIONS = {
    "long_seconds": "of the upload and of the job that keeps the worker busy",
    "soak_seconds": "how long",
    "soak_pause_seconds": "of each client between two jobs, on the average",
    "model_steps": "of audioldm2",
    "window_seconds": "of audioldm2's region",
}


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 1 when something could not be measured. A missed goal does not count."""
    options = _parser().parse_args(words)
    names = MODULES if "all" in options.names else tuple(dict.fromkeys(options.names))
    sizes = QUICK if options.quick else Sizes()
    chosen = {name: value for name in SIZE_OPTIONS if (value := getattr(options, name))}
    sizes = replace(sizes, **chosen)
    setting = Setting(sizes, options.threads)
    measured, errors = measure_all(names, setting)
    shown = [figure for rows in measured.values() for figure in rows]
    print(figures.table(shown))
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(setting), "figures": figures.as_rows(shown)}, indent=1)
        )
    if options.plot:
        plot.draw(measured, options.plot)
    if options.out:
        options.out.write_text(page(measured, setting), encoding="utf-8")
    return int(bool(errors))


def measure_all(
    names: Sequence[str], setting: Setting
) -> tuple[dict[str, list[Figure]], list[str]]:
    """Module name -> figures, and what went wrong. The others run after one has failed."""
    measured, errors = {}, []
    for name in names:
        began = time.monotonic()
        try:
            measured[name] = importlib.import_module(f"benchmarks.measures.{name}").measure(setting)
        except (RuntimeError, OSError, ClientError) as error:
            errors.append(f"{name}: {error}")
            print(f"{name}: not measured: {error}", file=sys.stderr)
        else:
            print(f"{name}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return measured, errors


def machine(setting: Setting) -> dict[str, str]:
    """What the figures were measured on and with."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "model threads": str(setting.threads or os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "onnxruntime": _version("onnxruntime"),
        "commit": version()[3] or "unknown",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def page(measured: dict[str, list[Figure]], setting: Setting) -> str:
    """docs/benchmarks.md."""
    about = "\n".join(f"- {key}: {value}" for key, value in machine(setting).items())
    shown = figures.markdown(figure for rows in measured.values() for figure in rows)
    how = "\n".join(f"- **{name}**: {_how(name)}" for name in measured)
    return (
        "# Benchmarks\n\nWritten by `python -m benchmarks all --out docs/benchmarks.md`; "
        f"run it again rather than edit it.\n\n{about}\n\n{shown}\n\n## How\n\n{how}\n"
    )


def _how(name: str) -> str:
    return " ".join((importlib.import_module(f"benchmarks.measures.{name}").__doc__ or "").split())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names",
        nargs="+",
        choices=("all", *MODULES, *LONG, *MODELS),
        metavar="NAME",
        help=f"all, or some of {', '.join((*MODULES, *LONG, *MODELS))}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: does it work? The figures mean nothing"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="of the model (default: one per core)"
    )
    for field, help_text in SIZE_OPTIONS.items():
        flag = "--" + field.removeprefix("model_").replace("_", "-")
        kind = type(getattr(Sizes(), field))
        usual = f"{help_text}; {getattr(Sizes(), field):g}"
        parser.add_argument(flag, dest=field, type=kind, default=0, metavar="N", help=usual)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures (SVG or PNG)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the page (Markdown)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
