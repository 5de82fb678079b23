"""How does a region become stems?

Region contract, model families, conditioning, samplers, runtimes, the worker.

`edit(EditRequest(...))` does the whole job; `python -m engine.worker` does it for the server.
Importing this package loads neither a runtime nor a model, not even numpy: the names below are
fetched when they are used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "EditRequest": "engine.editing",
    "edit": "engine.editing",
    "Manifest": "engine.manifest",
    "EngineError": "engine.errors",
    "Cancelled": "engine.errors",
    "FAMILIES": "engine.families.registry",
    "ModelCache": "engine.families.registry",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
