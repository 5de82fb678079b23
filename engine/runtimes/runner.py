"""How does a stage run? One call, `runner(**inputs) -> tuple of outputs`, whatever is underneath.

ONNX Runtime is the first implementation, on what `providers` has chosen; a torch module or a
TensorRT engine is another class with the same call. Sampling loops see nothing else. A runner may
be called by one thread at a time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.errors import EngineError
from engine.manifest import file_hashes
from engine.runtimes import providers
from engine.runtimes.sessions import load_onnxruntime, session_options
from engine.stages import Stage

# Bytes of a weight that lies beside an optimised graph. What shapes are made of has to be inside,
# or ONNX Runtime cannot read its own graph again: where it cuts packed LoRA factors of 384 layers
# at once, their lengths are 3 kB.
LEAST_BESIDE = "65536"
MAX_THREADS = 8  # above, the small matrices of one region only wait for each other
REINSTALL = "install retimbre again (a clone: git checkout engine), then send the job again"


class Runner(Protocol):
    """Runs one stage."""

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]: ...


def threads_for(asked: int = 0) -> int:
    """Threads per stage: as asked; 0: the cores we may use, less one for the DAW from three on."""
    if asked > 0:
        return asked
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(MAX_THREADS, cores if cores <= 2 else cores - 1))


class OnnxRunner:
    """A stage in an ONNX Runtime session, which is built at the first call or by `load`.

    `sha256`: of the file as it was released; empty: not known. `keeps_optimised`: the optimised
    graph is written beside the file, so that the next session is built in half the time and memory.
    """

    def __init__(
        self,
        stage: Stage,
        path: Path,
        threads: int,
        sha256: str = "",
        keeps_optimised: bool = False,
    ) -> None:
        self.stage, self.path, self.threads, self.sha256 = stage, path, threads, sha256
        self.keeps_optimised = keeps_optimised
        self._session: Any = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Build the session.

        EngineError not_ready: file missing or of another signature; model_damaged.
        """
        with self._lock:
            if self._session is None:
                self._session = self._build()

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Outputs in the order of the stage table. Inputs of the table's names and types."""
        self.load()
        feed = {
            port.name: np.ascontiguousarray(inputs[port.name], port.dtype)
            for port in self.stage.inputs
        }
        return tuple(self._session.run(self.stage.output_names, feed))

    def _build(self) -> Any:
        onnxruntime = load_onnxruntime()
        if not self.path.is_file():
            raise EngineError(
                "not_ready",
                f"expected the graph {self.path}, it is not there; install retimbre again",
            )
        self._check_file()
        try:
            session = self._open(onnxruntime)
        except Exception as error:
            # the runtime's own errors share no base class; all mean the same to the client
            raise EngineError(
                "model_damaged",
                f"{self.path} is not a graph this runtime reads: {error}; {REINSTALL}",
            ) from error
        self._check(session)
        return session

    def _open(self, onnxruntime: Any) -> Any:
        if (
            self.keeps_optimised
            and providers.current().name == "cpu"
            and os.access(self.path.parent, os.W_OK)
        ):
            return open_optimised(onnxruntime, self.path, self.threads)
        options = session_options(onnxruntime, self.threads)
        named = providers.attach(options, self.threads)
        return onnxruntime.InferenceSession(
            str(self.path), options, **({"providers": named} if named else {})
        )

    def _check_file(self) -> None:
        """A file that was cut off or swapped may load all the same, and give other results."""
        if self.sha256 and (found := file_hashes({"": self.path})[""]) != self.sha256:
            message = (
                f"{self.path} is not the file that was released: "
                f"expected sha256 {self.sha256}, got {found}"
            )
            raise EngineError("model_damaged", f"{message}; {REINSTALL}")

    def _check(self, session: Any) -> None:
        expected = (set(self.stage.input_names), set(self.stage.output_names))
        found = (
            {port.name for port in session.get_inputs()},
            {port.name for port in session.get_outputs()},
        )
        if expected != found:
            message = (
                f"{self.path.name} takes and gives {found}, the stage table says {expected}; "
                "export it again"
            )
            raise EngineError("not_ready", message)


def open_optimised(onnxruntime: Any, path: Path, threads: int) -> Any:
    """A session on the processor from the optimised graph, which the first call writes down.

    Its weights lie in a file of their own, which is mapped and not copied. It is good for this
    processor and this version only, which its name says.
    """
    about = f"{onnxruntime.__version__} {providers.processor()} {LEAST_BESIDE}"
    key = hashlib.sha256(about.encode()).hexdigest()[:8]
    kept = path.with_name(f"{path.stem}.{key}") / "optimised.onnx"
    options = session_options(onnxruntime, threads)
    if kept.is_file():
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(str(kept), options, providers=["CPUExecutionProvider"])
    partial = Path(tempfile.mkdtemp(prefix=f".{path.stem}.", dir=path.parent))
    try:
        options.optimized_model_filepath = str(partial / kept.name)
        beside = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{beside}_file_name", "weights.bin")
        options.add_session_config_entry(f"{beside}_min_size_in_bytes", LEAST_BESIDE)
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        if not kept.parent.exists():  # another process may have been quicker
            os.replace(partial, kept.parent)
        return session
    finally:
        shutil.rmtree(partial, ignore_errors=True)
