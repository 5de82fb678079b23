"""nano: the embedded model. features and stages describe it, model is its torch form (training),
family serves it.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """NanoFamily, fetched when used: training imports features without the serving side."""
    if name != "NanoFamily":
        raise AttributeError(f"module 'engine.families.nano' has no attribute {name!r}")
    from engine.families.nano.family import NanoFamily

    return NanoFamily
