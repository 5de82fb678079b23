"""The table of knobs: what a client may turn, in which range, and which model families take it.

The preset schema, the blend, the engine, a job's request, `/preset/get` and with it the page read
this table. The protocol's rows (from which the command line and HTTP derive), the Live device, the
SuperCollider class and the Pd help cannot import it; `tests/presets/test_faces.py` compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

MAX_SEED = 2**31 - 1  # OSC integers are signed 32 bit
NEGATIVE_BYTES = 8000  # 2000 characters of four bytes each

Value = int | float | str


@dataclass(frozen=True)
class Knob:
    """One knob. `low` and `high` bound a number; for a text, `high` is the most bytes as UTF-8."""

    name: str
    type: Literal["f", "i", "s"]  # as in OSC
    low: float
    high: float
    help: str
    families: tuple[str, ...]
    neutral: Value  # in a family that does not take it: it changes nothing
    unit: str = ""
    auto: Value | None = None  # what a request says that leaves it to the preset and the family
    preset_path: tuple[str, ...] = ()  # its place in a preset file; (): not there
    blend: Literal["mean", "heaviest", "join", ""] = ""  # how several presets make one value
    is_common: bool = False  # clients with little room have a control for it, too

    def admits(self, text: str) -> bool:
        """Whether a text is short enough."""
        return len(text.encode("utf-8", "replace")) <= self.high


_HEARING = ("nano", "audioldm2", "ace_step", "stable_audio_3")  # the region steers the sampler
_ALL = (*_HEARING, "musicgen")

# fmt: off
_ROWS = (
    Knob("strength", "f", 0, 2, "how much the source is listened to (alpha)",
         _HEARING, 1.0, preset_path=("audio_prompt", "scale"), blend="mean", is_common=True),
    Knob("pooling", "i", 1, 8, "how coarsely the source is heard: 1 fine, 8 coarse (omega)",
         _HEARING, 1, preset_path=("audio_prompt", "pooling"), blend="mean", is_common=True),
    Knob("fidelity", "f", 0, 2,
         "how strictly the source's balance of notes and its attacks are kept",
         ("nano",), 0.0, preset_path=("audio_prompt", "fidelity"), blend="mean", is_common=True),
    Knob("guidance", "f", 0, 10, "how strictly the text is followed (lambda); 1: no guidance",
         _ALL, 1.0, preset_path=("guidance",), blend="mean", is_common=True),
    Knob("guidance_from", "f", 0, 1,
         "guidance begins at this point between noise (0) and sound (1); a short span is quicker",
         _HEARING, 0.0, preset_path=("guidance_from",), blend="mean"),
    Knob("guidance_to", "f", 0, 1, "guidance ends at this point",
         _HEARING, 1.0, preset_path=("guidance_to",), blend="mean"),
    Knob("negative", "s", 0, NEGATIVE_BYTES, "what to move away from, in words",
         _ALL, "", preset_path=("negative_prompt",), blend="join", is_common=True),
    Knob("steps", "i", 1, 100, "sampling steps: more is slower and finer",
         _HEARING, 1, preset_path=("steps",), blend="mean", is_common=True),
    Knob("seed", "i", -1, MAX_SEED,
         "-1: a new seed each time, below 2^24, which Pd's floats hold exactly",
         _ALL, -1, auto=-1, preset_path=("seed",), blend="heaviest", is_common=True),
    Knob("temperature", "f", 0, 4, "for language models: higher is bolder, 0 takes the likeliest",
         ("musicgen",), 1.0, preset_path=("temperature",), blend="mean"),
    Knob("top_k", "i", 1, 2048,
         "for language models: how many of the likeliest tokens to draw from",
         ("musicgen",), 250, preset_path=("top_k",), blend="mean"),
    Knob("stems", "s", 0, 256, "which stems, comma separated; empty: all that the model makes",
         ("nano",), "", auto=""),
    Knob("tempo", "f", 0, 400, "tempo of the region, if you know it; 0: estimated from the sound",
         ("nano",), 0.0, unit="bpm", auto=0.0),
)
# fmt: on

KNOBS: Mapping[str, Knob] = MappingProxyType({knob.name: knob for knob in _ROWS})
PRESET_KNOBS: Mapping[str, Knob] = MappingProxyType(
    {knob.name: knob for knob in _ROWS if knob.preset_path}
)


def select_stated(keys: Mapping[str, Value | None]) -> dict[str, Value]:
    """The knobs that a request's keys state, without the seed: each take has its own."""
    values = {name: keys.get(name) for name in KNOBS if name != "seed"}
    return {
        name: value
        for name, value in values.items()
        if value is not None and value != KNOBS[name].auto
    }


def at_preset_paths(values: Mapping[str, Value | None]) -> dict[str, Any]:
    """Knobs by name, nested as a preset file has them: strength under audio_prompt as scale."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *owners, last = KNOBS[name].preset_path
        target = nested
        for owner in owners:
            target = target.setdefault(owner, {})
        target[last] = value
    return nested
