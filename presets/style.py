"""A style as a job carries it: presets blended, the user's words filled in, files found.

It goes through JSON twice, into the journal and to the worker; `to_json` and `from_json` are the
only two functions that know the form. This module imports neither pydantic nor YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from presets.errors import PresetError
from presets.knobs import PRESET_KNOBS, Value, at_preset_paths


@dataclass(frozen=True)
class WeightedText:
    """One prompt. Weights are shares: only their ratios count."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class StyleTensor:
    """A safetensors file of a style, and how much of it is applied: 1 as trained, 0 not at all."""

    path: str
    weight: float = 1.0
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """The three fields."""
        return {"path": self.path, "weight": self.weight, "sha256": self.sha256}


@dataclass(frozen=True)
class ResolvedStyle:
    """What the model family gets of one preset or of a blend.

    `task` "": the family's first. `knobs` has only those that the style states.
    """

    name: str = ""
    title: str = ""
    model: str = ""
    task: str = ""
    prompts: tuple[WeightedText, ...] = ()
    uses_text: bool = False  # whether a prompt has a place for the user's words
    adapters: tuple[StyleTensor, ...] = ()
    soft_prompts: tuple[StyleTensor, ...] = ()
    knobs: Mapping[str, Value] = field(default_factory=dict)
    licence: str = ""

    @property
    def tensors(self) -> tuple[StyleTensor, ...]:
        """Every file that the style needs."""
        return (*self.adapters, *self.soft_prompts)

    def to_json(self) -> dict[str, Any]:
        """JSON with the keys of a preset file; `soft_prompt` is a list where there are several."""
        soft_prompts = [tensor.to_json() for tensor in self.soft_prompts]
        blanks = {name: "" if knob.type == "s" else None for name, knob in PRESET_KNOBS.items()}
        return {
            "name": self.name,
            "title": self.title,
            "model": self.model,
            "task": self.task,
            "adapters": [tensor.to_json() for tensor in self.adapters],
            "soft_prompt": soft_prompts
            if len(soft_prompts) > 1
            else next(iter(soft_prompts), None),
            **at_preset_paths({**blanks, **self.knobs}),
            "licence": self.licence,
            "prompts": [{"text": each.text, "weight": each.weight} for each in self.prompts],
            "uses_text": self.uses_text,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ResolvedStyle:
        """The style that `to_json` wrote, also where an older version wrote fewer keys.

        Raises PresetError(bad_preset).
        """
        learned = values.get("soft_prompt") or ()
        try:
            return cls(
                name=values.get("name", ""),
                title=values.get("title", ""),
                model=values.get("model", ""),
                task=values.get("task") or "",
                prompts=tuple(
                    WeightedText(row["text"], float(row.get("weight", 1.0)))
                    for row in values.get("prompts") or ()
                ),
                uses_text=bool(values.get("uses_text")),
                adapters=tuple(map(_tensor, values.get("adapters") or ())),
                soft_prompts=tuple(
                    map(_tensor, [learned] if isinstance(learned, Mapping) else learned)
                ),
                knobs=_find_knobs(values),
                licence=values.get("licence", ""),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PresetError(
                "bad_preset",
                f"preset: expected what `presets.resolve` makes, got another form ({error!r:.80})",
            ) from error


def _tensor(row: Mapping[str, Any]) -> StyleTensor:
    return StyleTensor(row["path"], float(row.get("weight", 1.0)), row.get("sha256", ""))


def _find_knobs(values: Mapping[str, Any]) -> dict[str, Value]:
    found = {name: _at(values, knob.preset_path) for name, knob in PRESET_KNOBS.items()}
    return {name: value for name, value in found.items() if value is not None and value != ""}


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = values
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
