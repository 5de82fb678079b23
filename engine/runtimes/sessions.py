"""How is every ONNX Runtime session set up?"""

from __future__ import annotations

from typing import Any

from engine.errors import EngineError

CURE = 'pip install "retimbre[cpu]"'


def session_options(onnxruntime: Any, threads: int) -> Any:
    """So many threads, which sleep when idle; quiet; all optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads burn the DAW's cores for a second after each run and win nothing measurable.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights are int8 in the file to be small: unfold them once here instead of at every call.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def load_onnxruntime() -> Any:
    """The module. EngineError not_ready where it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            "not_ready", f"onnxruntime is not installed ({error}); run: {CURE}"
        ) from error
    # the folder is left behind when one of two installs is removed
    if not hasattr(onnxruntime, "InferenceSession"):
        raise EngineError(
            "not_ready", f"onnxruntime is installed but empty; run: {CURE} --force-reinstall"
        )
    return onnxruntime
