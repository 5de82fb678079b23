"""What is a style? The table of knobs, and one YAML file each: schema, loading, blend, reload.

    library = Library([SHIPPED_FOLDER, users_folder])
    preset = library.get("church_organ")            # PresetError(unknown_preset) names the nearest
    half = blend([(preset, 0.5), (library.get("pan_flute"), 0.5)])
    style = resolve(half, "played softly")          # a ResolvedStyle: to_json() for the journal

Rule 1: this package imports nothing of ours and nothing heavy.
Rule 2: a preset that was loaded is immutable; edits make new ones.
Rule 3: one broken file costs one message, never the other presets.

The names below are fetched when they are used: who needs `presets.knobs` or `presets.style` alone
does not load pydantic and YAML.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from presets.blending import blend, resolve
    from presets.errors import PresetError, Problem
    from presets.library import SHIPPED_FOLDER, Library, ReloadReport
    from presets.loader import load_preset, parse_preset
    from presets.schema import Parameter, Preset, parameters
    from presets.style import ResolvedStyle, StyleTensor, WeightedText

__all__ = [
    "SHIPPED_FOLDER",
    "Library",
    "Parameter",
    "Preset",
    "PresetError",
    "Problem",
    "ReloadReport",
    "ResolvedStyle",
    "StyleTensor",
    "WeightedText",
    "blend",
    "load_preset",
    "parameters",
    "parse_preset",
    "resolve",
]

_HOMES = {
    "SHIPPED_FOLDER": "presets.library",
    "Library": "presets.library",
    "Parameter": "presets.schema",
    "Preset": "presets.schema",
    "PresetError": "presets.errors",
    "Problem": "presets.errors",
    "ReloadReport": "presets.library",
    "ResolvedStyle": "presets.style",
    "StyleTensor": "presets.style",
    "WeightedText": "presets.style",
    "blend": "presets.blending",
    "load_preset": "presets.loader",
    "parameters": "presets.schema",
    "parse_preset": "presets.loader",
    "resolve": "presets.blending",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'presets' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
