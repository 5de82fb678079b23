"""How does a client's knob, the style's value and the family's default become one value?

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
from presets.knobs import KNOBS, Knob
from presets.style import ResolvedStyle, WeightedText

MAX_DRAWN_SEED = 2**24 - 1  # single-precision patches recall integers exactly only up to here
SLACK = 1e-6  # OSC's floats are float32: 0.3 arrives as 0.30000001


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
        """Guidance at a part of the way from noise (0) to sound (1): outside its interval, none.

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
    text: str, knobs: Mapping[str, Any], style: ResolvedStyle | None, defaults: Mapping[str, Any]
) -> tuple[Knobs, list[str]]:
    """Every knob decided, and notes on what was not used. EngineError bad_args."""
    unknown = sorted(set(knobs) - set(KNOBS))
    if unknown:
        raise EngineError("bad_args", f"unknown knob {unknown[0]!r}; there are {', '.join(KNOBS)}")
    style = style or ResolvedStyle()
    values = {
        knob.name: _decide(knob, (knobs.get(knob.name), style.knobs.get(knob.name)), defaults)
        for knob in KNOBS.values()
    }
    if values["seed"] < 0:
        values["seed"] = random.SystemRandom().randint(0, MAX_DRAWN_SEED)
    prompts, notes = _prompts(text.strip(), style)
    return Knobs(**values, prompts=prompts), notes


def _decide(knob: Knob, stated: tuple[Any, Any], defaults: Mapping[str, Any]) -> Any:
    """The first that says something: client, preset, the family's default, the neutral value."""
    for value in stated:
        if value is not None and value != "":
            return _check(knob, value)
    return _check(knob, defaults.get(knob.name, knob.neutral))


def _check(knob: Knob, value: Any) -> Any:
    if knob.type == "s":
        if isinstance(value, str) and knob.admits(value):
            return value
        raise EngineError(
            "bad_args",
            f"{knob.name}: expected text of at most {knob.high:.0f} bytes, got {value!r:.60}",
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise EngineError("bad_args", f"{knob.name}: expected a number, got {value!r:.60}")
    if not knob.low <= value <= knob.high:
        raise EngineError(
            "bad_args", f"{knob.name}: expected {knob.low:g} to {knob.high:g}, got {value:g}"
        )
    if knob.type == "i" and value != int(value):
        raise EngineError("bad_args", f"{knob.name}: expected a whole number, got {value:g}")
    return int(value) if knob.type == "i" else float(value)


def _prompts(text: str, style: ResolvedStyle) -> tuple[tuple[tuple[str, float], ...], list[str]]:
    """Words and their shares: the style's prompts, which have the user's words, or the text."""
    prompts = style.prompts or (WeightedText(text),)
    filled = [(" ".join(prompt.text.split()), prompt.weight) for prompt in prompts]
    kept = [(words, weight) for words, weight in filled if words and weight > 0]
    if not kept:
        raise EngineError(
            "bad_args", 'text: expected words such as "turn this into a violin", got none'
        )
    total = sum(weight for _, weight in kept)
    notes = []
    if text and style.prompts and not style.uses_text:
        notes.append(f"text: the preset {style.name} has its own words; {text!r:.80} was not used")
    return tuple((words, weight / total) for words, weight in kept), notes
