"""What is a style? One YAML file each: schema, loading, blending, hot reload.

    library = Library([SHIPPED_FOLDER, users_folder])
    preset = library.get("church_organ")            # PresetError(unknown_preset) names the nearest
    half = blend([(preset, 0.5), (library.get("pan_flute"), 0.5)])
    request["preset"] = resolve(half, "played softly")   # plain JSON-able dict

Rule 1: this package imports nothing of ours and nothing heavy.
Rule 2: a preset that was loaded is immutable; edits make new ones.
Rule 3: one broken file costs one message, never the other presets.
"""

from presets.blend import blend, resolve
from presets.errors import PresetError, Problem
from presets.library import SHIPPED_FOLDER, Library, ReloadReport
from presets.loader import load_preset, parse_preset
from presets.schema import Preset, parameters

__all__ = [
    "SHIPPED_FOLDER",
    "Library",
    "Preset",
    "PresetError",
    "Problem",
    "ReloadReport",
    "blend",
    "load_preset",
    "parameters",
    "parse_preset",
    "resolve",
]
