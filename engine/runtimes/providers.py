"""What computes the graphs on this machine, and why that?

The table is in the order of preference. A graphics card is sure to win, so it is taken at once.
Where two could win, both run the same graph for a moment, and the faster one is taken if its
results agree. The worker calls `choose` once and `use`s the answer; everybody else computes on the
processor with ONNX Runtime.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.manifest import versions
from engine.runtimes.sessions import session_options

NEEDED_GAIN = 1.15  # times as fast as the processor alone; less is noise
MOST_ERROR = 0.03  # relative; half-precision arithmetic costs about one percent
MEASURED_RUNS = 3
RECORD = "runtime.json"  # of the last contest, beside the exports
OPENVINO_PACKAGE, OPENVINO_EP = "onnxruntime_ep_openvino", "OpenVINOExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """One row: how it is called, why it may not be there, how a session is opened with it."""

    name: str
    title: str
    unavailable_reason: Callable[[], str]  # "" when it can run
    # session options, threads -> `providers` of the session
    attach: Callable[[Any, int], list[Any]]
    is_sure: bool  # to beat the processor


@dataclass(frozen=True)
class Choice:
    """What computes, why, and why not the others."""

    name: str
    title: str
    reason: str
    others: tuple[tuple[str, str], ...] = ()  # title, why not

    def __str__(self) -> str:
        return f"{self.title} ({self.reason})"


def _offers(name: str, extra: str) -> Callable[[], str]:
    def reason() -> str:
        import onnxruntime

        if name in onnxruntime.get_available_providers():
            return ""
        return f"this ONNX Runtime does not have it; {extra}"

    return reason


def _openvino_devices() -> list[Any]:
    """The plug-in's processors; empty where it finds none that it knows."""
    import onnxruntime

    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == OPENVINO_EP]
    if not devices:
        plugin = importlib.import_module(OPENVINO_PACKAGE)
        try:
            onnxruntime.register_execution_provider_library(OPENVINO_EP, plugin.get_library_path())
        except Exception as error:
            # registered already, or a library that does not load: told below as no device
            if "already" not in str(error):
                raise EngineError(
                    "not_ready", f"OpenVINO's plug-in does not load: {error}"
                ) from error
        devices = [
            device for device in onnxruntime.get_ep_devices() if device.ep_name == OPENVINO_EP
        ]
    return [
        device for device in devices if device.device.type == onnxruntime.OrtHardwareDeviceType.CPU
    ]


def _openvino_unavailable_reason() -> str:
    if importlib.util.find_spec(OPENVINO_PACKAGE) is None:
        return "not installed; pip install 'retimbre[openvino]' on a processor of Intel"
    try:
        return "" if _openvino_devices() else f"its plug-in knows no device here ({processor()})"
    except EngineError as error:
        return error.message


def _attach_openvino(options: Any, threads: int) -> list[Any]:
    """bfloat16 where the processor has it: OpenVINO's default, stated so that machines agree."""
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    options.add_provider_for_devices(
        _openvino_devices()[:1], {"load_config": json.dumps({"CPU": settings})}
    )
    return []


def _attach_named(name: str) -> Callable[[Any, int], list[Any]]:
    return lambda options, threads: [name, "CPUExecutionProvider"]


PROVIDERS = (
    Provider(
        "cuda",
        "ONNX Runtime CUDA",
        _offers("CUDAExecutionProvider", "pip install 'retimbre[gpu]' with an NVIDIA card"),
        _attach_named("CUDAExecutionProvider"),
        is_sure=True,
    ),
    Provider(
        "coreml",
        "CoreML",
        _offers("CoreMLExecutionProvider", "only Apple's machines have it"),
        _attach_named("CoreMLExecutionProvider"),
        is_sure=False,
    ),
    Provider(
        "openvino", "OpenVINO bf16", _openvino_unavailable_reason, _attach_openvino, is_sure=False
    ),
    Provider(
        "cpu",
        "ONNX Runtime CPU",
        lambda: "",
        lambda options, threads: ["CPUExecutionProvider"],
        is_sure=True,
    ),
)
NAMES = ("auto", *(row.name for row in PROVIDERS))
CPU = Choice("cpu", "ONNX Runtime CPU", "runs everywhere")

_current = CPU


def use(choice: Choice) -> None:
    """From now on every graph of this process that is opened runs there. Call it before any is."""
    global _current
    _current = choice


def current() -> Choice:
    """The choice that `use` was given; the processor until then."""
    return _current


def attach(options: Any, threads: int) -> list[Any]:
    """Prepare session options for what is used; the session's `providers`."""
    return _row(_current.name, PROVIDERS).attach(options, threads)


# seconds of a run, its outputs
Measure = Callable[[Provider], "tuple[float, Sequence[np.ndarray]]"]


def choose(
    asked: str = "auto",
    measure: Measure | None = None,
    record: Path | None = None,
    providers: Sequence[Provider] = PROVIDERS,
) -> Choice:
    """The provider that is asked for, or the fastest.

    `measure` decides contests; without it, or where `record` knows the outcome, nothing is run.
    EngineError not_ready: what was asked for cannot run; bad_args.
    """
    if asked != "auto":
        row = _row(asked, providers)
        if reason := row.unavailable_reason():
            raise EngineError("not_ready", f"--runtime {asked}: {reason}")
        return Choice(row.name, row.title, "asked for")
    others = [(row.title, reason) for row in providers if (reason := row.unavailable_reason())]
    able = [row for row in providers if row.title not in dict(others)]
    winner, reason = _first_winner(able, measure, record, others)
    return Choice(winner.name, winner.title, reason, tuple(others))


def _first_winner(
    able: Sequence[Provider],
    measure: Measure | None,
    record: Path | None,
    others: list[tuple[str, str]],
) -> tuple[Provider, str]:
    """The first in the table that wins; why the ones before it did not goes into `others`."""
    last = able[-1]
    for row in able[:-1]:
        if row.is_sure:
            return row, "a graphics card wins"
        found = _contest(row, last, measure, record)
        if found["wins"]:
            return row, found["reason"]
        others.append((row.title, found["reason"]))
    return last, "nothing faster is here" if len(able) == 1 else "the fastest here"


def _contest(
    row: Provider, last: Provider, measure: Measure | None, record: Path | None
) -> dict[str, Any]:
    """{wins, reason}: remembered, or measured now."""
    key = f"{row.name} on {processor()}, onnxruntime {versions().get('onnxruntime', '')}"
    known = _read(record)
    if key in known:
        return known[key]
    if measure is None:
        return {"wins": False, "reason": "not measured yet; the server does it at its next start"}
    known[key] = _compare(row, last, measure)
    if record:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return known[key]


def _compare(row: Provider, last: Provider, measure: Measure) -> dict[str, Any]:
    from export.parity import relative_error

    try:
        seconds, outputs = measure(row)
    except (
        Exception
    ) as error:  # foreign code that fails here must not keep the server from starting
        return {"wins": False, "reason": f"does not run here: {error}"[:300]}
    own, expected = measure(last)
    apart = max(relative_error(*pair) for pair in zip(outputs, expected, strict=True))
    figures = f"{seconds * 1e3:.0f} ms a step, {last.title} {own * 1e3:.0f} ms, {apart:.1%} apart"
    return {"wins": own >= NEEDED_GAIN * seconds and apart <= MOST_ERROR, "reason": figures}


def measure_graph(path: Path, threads: int) -> Measure:
    """A step of the graph at `path`, with every dynamic axis small: the best of a few runs."""

    def measure(row: Provider) -> tuple[float, Sequence[np.ndarray]]:
        import onnxruntime

        options = session_options(onnxruntime, threads)
        providers = row.attach(options, threads)
        session = onnxruntime.InferenceSession(
            str(path), options, **({"providers": providers} if providers else {})
        )
        feed = {port.name: _fill(port) for port in session.get_inputs()}
        taken = []
        for _ in range(MEASURED_RUNS + 1):  # the first one warms up
            began = time.perf_counter()
            outputs = session.run(None, feed)
            taken.append(time.perf_counter() - began)
        return min(taken[1:]), outputs

    return measure


AXIS_SIZES = {"B": 2, "T": 128, "L": 8, "A": 64, "M": 128}


def _fill(port: Any) -> np.ndarray:
    shape = [axis if isinstance(axis, int) else AXIS_SIZES.get(axis, 8) for axis in port.shape]
    if port.type == "tensor(int64)":
        return np.ones(shape, np.int64)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@functools.lru_cache(maxsize=1)
def processor() -> str:
    """Its name, or the machine's kind where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _row(name: str, providers: Sequence[Provider]) -> Provider:
    for row in providers:
        if row.name == name:
            return row
    raise EngineError("bad_args", f"runtime: expected one of {', '.join(NAMES)}, got {name!r}")


def _read(record: Path | None) -> dict[str, Any]:
    try:
        return json.loads(record.read_text(encoding="utf-8")) if record else {}
    except (OSError, ValueError):  # not there, or not whole: measured again
        return {}
