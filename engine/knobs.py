"""What a client may turn, and how knob, preset and the family's default become one value.

Precedence: the client's knob, then the preset, then the family's default. A value out of range is
an error that names the range; an unknown knob is an error that names the knobs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import EngineError

MAX_SEED = 2**31 - 1  # OSC's int32
MAX_DRAWN_SEED = 2**24 - 1  # single-precision patches recall integers exactly only up to here
MAX_TEXT = 2_000
SLACK = 1e-6  # OSC's floats are float32: 0.3 arrives as 0.30000001


@dataclass(frozen=True)
class Knob:
    """Type, range, where a preset keeps it, and what a family has that knows nothing of it."""

    kind: type
    low: float
    high: float
    preset_path: tuple[str, ...]
    neutral: Any


KNOBS: Mapping[str, Knob] = {
    "strength": Knob(float, 0, 2, ("audio_prompt", "scale"), 1.0),
    "pooling": Knob(int, 1, 8, ("audio_prompt", "pooling"), 1),
    "guidance": Knob(float, 0, 10, ("guidance",), 1.0),
    "fidelity": Knob(float, 0, 2, ("audio_prompt", "fidelity"), 0.0),
    "guidance_from": Knob(float, 0, 1, ("guidance_from",), 0.0),
    "guidance_to": Knob(float, 0, 1, ("guidance_to",), 1.0),
    "negative": Knob(str, 0, MAX_TEXT, ("negative_prompt",), ""),
    "steps": Knob(int, 1, 100, ("steps",), 1),
    "seed": Knob(int, -1, MAX_SEED, ("seed",), -1),
    "temperature": Knob(float, 0, 4, ("temperature",), 1.0),
    "top_k": Knob(int, 1, 2048, ("top_k",), 250),
    "stems": Knob(str, 0, 256, ("stems",), ""),
    "tempo": Knob(float, 0, 400, ("tempo",), 0.0),
}


@dataclass(frozen=True)
class Knobs:
    """All decided: what the sampler gets and the manifest repeats."""

    strength: float
    pooling: int
    guidance: float
    negative: str
    steps: int
    seed: int
    prompts: tuple[tuple[str, float], ...]  # (words, weight); the weights sum to 1
    temperature: float = 1.0
    top_k: int = 250
    fidelity: float = 0.0
    guidance_from: float = 0.0
    guidance_to: float = 1.0
    stems: str = ""  # which of several, comma separated; empty: all
    tempo: float = 0.0  # beats a minute, where the client knows it

    def guidance_at(self, done: float) -> float:
        """Guidance where so much of the way from noise (0) to sound (1) is done: outside its
        interval there is none.

        Source: Kynkäänniemi et al. 2024, "Applying guidance in a limited interval".
        """
        return (
            self.guidance if self.guidance_from - SLACK <= done < self.guidance_to - SLACK else 1.0
        )

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["prompts"] = [{"text": text, "weight": weight} for text, weight in self.prompts]
        return values


def resolve(
    text: str,
    knobs: Mapping[str, Any],
    preset: Mapping[str, Any] | None,
    defaults: Mapping[str, Any],
) -> tuple[Knobs, list[str]]:
    """Every knob decided, and notes on what was not used. EngineError bad_args."""
    unknown = sorted(set(knobs) - set(KNOBS))
    if unknown:
        raise EngineError("bad_args", f"unknown knob {unknown[0]!r}; there are {', '.join(KNOBS)}")
    preset = preset or {}
    values = {name: _decided(name, knobs, preset, defaults) for name in KNOBS}
    if values["seed"] < 0:
        values["seed"] = random.SystemRandom().randint(0, MAX_DRAWN_SEED)
    prompts, notes = _prompts(text.strip(), preset)
    return Knobs(**values, prompts=prompts), notes


def _decided(
    name: str, knobs: Mapping[str, Any], preset: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Any:
    for source in (knobs.get(name), _at(preset, KNOBS[name].preset_path)):
        if source is not None and source != "":
            return _checked(name, source)
    return _checked(name, defaults.get(name, KNOBS[name].neutral))


def _at(preset: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = preset
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _checked(name: str, value: Any) -> Any:
    knob = KNOBS[name]
    if knob.kind is str:
        if isinstance(value, str) and len(value) <= knob.high:
            return value
        raise EngineError(
            "bad_args",
            f"{name}: expected text of at most {knob.high:.0f} letters, got {value!r:.60}",
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise EngineError("bad_args", f"{name}: expected a number, got {value!r:.60}")
    if not knob.low <= value <= knob.high:
        raise EngineError(
            "bad_args", f"{name}: expected {knob.low:g} to {knob.high:g}, got {value:g}"
        )
    if knob.kind is int and value != int(value):
        raise EngineError("bad_args", f"{name}: expected a whole number, got {value:g}")
    return knob.kind(value)


def _prompts(
    text: str, preset: Mapping[str, Any]
) -> tuple[tuple[tuple[str, float], ...], list[str]]:
    """The words and their shares: a resolved preset's prompts (it has the user's words in them), or
    the words alone.
    """
    rows = preset.get("prompts") or [{"text": text, "weight": 1.0}]
    filled = [(" ".join(row["text"].split()), float(row.get("weight", 1.0))) for row in rows]
    kept = [(words, weight) for words, weight in filled if words and weight > 0]
    if not kept:
        raise EngineError(
            "bad_args", 'text: expected words such as "turn this into a violin", got none'
        )
    total = sum(weight for _, weight in kept)
    notes = []
    if text and preset.get("prompts") and not preset.get("uses_text"):
        notes.append(
            f"text: the preset {preset.get('name', '')} has its own words; {text!r:.80} was not used"
        )
    return tuple((words, weight / total) for words, weight in kept), notes
