"""Turn a model into fast graphs, each compared with the model; the server then runs the graphs."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

from server import config
from server.cli.errors import EXIT_OK, CliError
from server.config import ServeConfig

TARGETS = ("onnx", "tensorrt")
PRECISIONS = ("float32", "int8", "float16")
PACKAGES = ("onnx", "onnxruntime")
TIMED_RUNS = 5
CURE = "pip install -e '.[cpu,export]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, in which form."""
    parser.add_argument("model", metavar="MODEL", help="family, as `retimbre models list` names it")
    parser.add_argument(
        "--preset",
        action="append",
        default=[],
        metavar="NAME",
        help="check that this style's files fit the graphs; may be given several times",
    )
    parser.add_argument(
        "--checkpoint",
        default="",
        metavar="NAME",
        help="of musicgen: another one than plays first, as musicgen-melody",
    )
    parser.add_argument(
        "--to",
        choices=TARGETS,
        default="onnx",
        help="onnx: graphs for any machine; tensorrt: engines for this NVIDIA card beside them",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of the weights in the graphs (default: float32; with tensorrt float16)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        metavar="S",
        help="of the region whose stem is compared (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        help="for the comparison; 0: the cores less one, of two both",
    )
    config.add_arguments(parser, ServeConfig, only=("data_dir", "models_dir", "presets_dir"))


def run(arguments: argparse.Namespace) -> int:
    """Export, print every comparison and the folder.

    CliError, and nothing is kept, where one is over its bound.
    """
    _check_packages(arguments.to)
    from engine.errors import EngineError
    from export import manifest, parity

    options = config.build(ServeConfig, vars(arguments))
    try:
        folder = _export(arguments, options)
    except EngineError as error:
        raise CliError(error.code, error.message) from error
    except parity.ParityError as error:
        raise CliError("not_equal", str(error)) from error
    except OSError as error:
        raise CliError("write_failed", str(error)) from error
    found = manifest.read(folder)
    print("\n".join(str(parity.Row(**row)) for row in found.parity))
    for name in arguments.preset:
        print(_check_preset(options, name, found))
    size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    print(f"{folder}: {size_mb:.0f} MB; `retimbre serve` uses it from its next start on")
    return _engines(folder, found) if arguments.to == "tensorrt" else EXIT_OK


def _export(arguments: argparse.Namespace, options: ServeConfig) -> Path:
    from retimbre_client import Progress

    from engine.errors import EngineError
    from engine.families.registry import family_named
    from engine.runtimes.exported import open_for_parity
    from engine.runtimes.runner import threads_for
    from export import build
    from server.cli.progress import progress_bar

    models = options.paths().models(options.models_dir)
    precision = arguments.precision or ("float16" if arguments.to == "tensorrt" else "float32")
    exporting = family_named(arguments.model).exporting()
    region = _region(exporting.RATE_HZ, arguments.seconds)
    chosen = {"checkpoint": arguments.checkpoint} if arguments.checkpoint else {}
    if chosen and not getattr(exporting, "HAS_CHECKPOINTS", False):
        raise EngineError("bad_args", f"--checkpoint: {arguments.model} has one only")
    _warn_of_memory(arguments.model, exporting, models)
    with progress_bar(arguments.model) as show:
        tell = lambda stage, fraction: show(Progress(fraction, stage, -1.0, 0))  # noqa: E731
        plan = exporting.plan(models, region, lambda done: tell("reading", -1.0), **chosen)
        return build.build(
            plan, models, precision, open_for_parity(threads_for(arguments.threads)), tell
        )


def _warn_of_memory(model: str, exporting: Any, models: Path) -> None:
    """Warn on stderr where this machine has less memory than the export is known to take."""
    from server.status import memory_gb

    needed_gb = getattr(exporting, "memory_bytes", lambda models: 0)(models) / 1e9
    used_gb, total_gb = memory_gb()
    if total_gb and needed_gb > total_gb - used_gb:
        print(
            f"warning: the export of {model} holds about {needed_gb:.0f} GB at most, "
            f"{total_gb - used_gb:.0f} of {total_gb:.0f} GB are free; close other programs, "
            f"or export on a larger machine and copy the folder exports/",
            file=sys.stderr,
        )


def _check_packages(target: str) -> None:
    """Before hours of work rather than after."""
    from export import tensorrt_engine

    if target == "tensorrt" and (reason := tensorrt_engine.unavailable_reason()):
        raise CliError("not_ready", f"--to tensorrt: {reason}")
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise CliError("not_ready", f"export needs {', '.join(absent)}; run: {CURE}")


def _region(rate_hz: int, seconds: float) -> Any:
    """Music at the model's rate: the recording that `retimbre demo` plays, as often as it takes."""
    import numpy as np
    import soundfile
    import soxr

    from server.paths import DEMO_REGION

    samples, own_hz = soundfile.read(DEMO_REGION, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), own_hz, rate_hz)
    return np.resize(mono, int(seconds * rate_hz)).astype(np.float32)


def _check_preset(options: ServeConfig, name: str, found: Any) -> str:
    """What a style's LoRA files become in these graphs. CliError where they do not fit."""
    from engine.adapters.files import AdapterFileError
    from engine.adapters.graphs import pack, read_for_graph
    from engine.adapters.lora import is_lora
    from presets import SHIPPED_FOLDER, Library, PresetError, resolve

    try:
        library = Library([SHIPPED_FOLDER, options.paths().presets, *options.presets_dir])
        adapters = resolve(library.get(name)).adapters
        layers = next((row.lora for row in found.stages if row.lora), ())
        files = [
            (read_for_graph(Path(adapter.path), layers), adapter.weight)
            for adapter in adapters
            if is_lora(Path(adapter.path))
        ]
        rank = pack(layers, files).rank
    except PresetError as error:
        raise CliError("bad_preset", f"{name}: {error}") from error
    except AdapterFileError as error:
        raise CliError("bad_preset", f"{name}: {error.message}") from error
    notes = "".join(f"; {remark}" for file, _ in files for remark in file.remarks)
    return f"{name}: {len(files)} LoRA files, rank {rank} in all{notes}"


def _engines(folder: Path, found: Any) -> int:
    """Build, compare and time the engine of every sampling step. Raises CliError."""
    from retimbre_client import Progress

    from engine.runtimes.exported import ExportedRunner
    from export import tensorrt_engine
    from server.cli.progress import progress_bar

    lengths, machine = found.settings["lengths"], tensorrt_engine.this_machine()
    print(", TensorRT ".join(machine))
    for row in (row for row in found.stages if row.prefill):
        onnx, digest = folder / row.step.file, found.graphs[row.step.file]
        path = tensorrt_engine.engine_path(onnx, digest, lengths, *machine)
        try:
            if not path.is_file():
                with progress_bar(row.stage) as show:
                    advance = lambda done: show(Progress(done, "building", -1.0, 0))  # noqa: E731
                    tensorrt_engine.build(
                        onnx, path, tensorrt_engine.profiles(row.step, lengths), advance
                    )
        except tensorrt_engine.TensorRtError as error:
            raise CliError("not_ready", str(error)) from error
        print(_compare(ExportedRunner(folder, row, 0, found.graphs, lengths), lengths))
    return EXIT_OK


def _compare(runner: Any, lengths: dict[str, int]) -> str:
    """How far engine and ONNX Runtime are apart, and how fast. CliError over the bound."""
    import time

    import numpy as np

    from export import parity, tensorrt_engine

    draw, shapes = np.random.default_rng(0), tensorrt_engine.profiles(runner.row.step, lengths)
    feed = {
        name: draw.standard_normal(shape.usual).astype(np.float32) * 0.1
        for name, shape in shapes.items()
    }
    (row,) = parity.compare(
        runner.row.stage,
        "TensorRT",
        runner.step,
        runner.engine,
        [feed],
        parity.STAGE_BOUND["float16"],
    )
    if not row.is_within:
        runner.engine.path.unlink()
        raise CliError("not_equal", f"the engine was deleted: {row}")
    seconds = []
    for run in (runner.engine, runner.step):
        run(**feed)
        began = time.perf_counter()
        for _ in range(TIMED_RUNS):
            run(**feed)
        seconds.append((time.perf_counter() - began) / TIMED_RUNS)
    ours_ms, theirs_ms = (1e3 * each for each in seconds)
    return f"{row}\n{runner.row.stage}: {ours_ms:.2f} ms a step, ONNX Runtime {theirs_ms:.0f} ms"
