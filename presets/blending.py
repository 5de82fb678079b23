"""Presets with weights become one preset, and a preset with the user's words a resolved style."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from presets.errors import PresetError
from presets.knobs import PRESET_KNOBS, Knob, Value, at_preset_paths
from presets.schema import USER_TEXT, Preset, Prompt, TensorFile, knob_value
from presets.style import ResolvedStyle, StyleTensor, WeightedText

Part = tuple[Preset, float]


def blend(parts: Sequence[Part], name: str = "") -> Preset:
    """One preset out of several with weights; 0.7 and 0.3, or 7 and 3: only ratios count.

    Prompts: each preset's sum to its share. Knobs: as the table of knobs says, numbers by their
    weighted mean over the presets that state them. Adapters and soft prompts: all of them, weights
    scaled, which for adapters equals adding the scaled updates. Raises PresetError(bad_preset) for
    different models or tasks.
    """
    parts = _shares(parts)
    _check_one_of("model", parts)
    _check_one_of("task", parts)
    learned = _scale(parts, lambda preset: preset.learned_words)
    heaviest = _heaviest(parts)
    recipe = [f"{preset.name} {share:.3g}" for preset, share in parts]
    fields = {
        "name": name or "_".join(recipe).replace(" ", "_")[:128],
        "title": " + ".join(f"{preset.title} {share:.0%}" for preset, share in parts)[:300],
        "description": ("blend of " + ", ".join(recipe))[:300],
        "model": heaviest.model,
        "task": heaviest.task,
        "prompts": _prompts(parts),
        "adapters": _scale(parts, lambda preset: preset.adapters),
        "soft_prompt": learned[0] if len(learned) == 1 else None,
        "soft_prompts": learned if len(learned) > 1 else (),
        "licence": _join([preset.licence for preset, _ in parts])[:300],
        **at_preset_paths({name: _blend_knob(knob, parts) for name, knob in PRESET_KNOBS.items()}),
    }
    try:
        return Preset.model_validate(fields)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise PresetError(
            "bad_preset", f"blend: {where}: {error.errors()[0]['msg']}; blend fewer styles"
        ) from None


def resolve(preset: Preset, user_text: str = "") -> ResolvedStyle:
    """The preset as a job carries it, the user's words filled in.

    A prompt that is empty without them is dropped.
    """
    words = " ".join(user_text.split())
    filled = [
        WeightedText(" ".join(prompt.text.replace(USER_TEXT, words).split()), prompt.weight)
        for prompt in preset.prompts
    ]
    values = {name: knob_value(preset, knob) for name, knob in PRESET_KNOBS.items()}
    return ResolvedStyle(
        name=preset.name,
        title=preset.title,
        model=preset.model,
        task=preset.task,
        prompts=tuple(prompt for prompt in filled if prompt.text),
        uses_text=preset.uses_text,
        adapters=tuple(map(_tensor, preset.adapters)),
        soft_prompts=tuple(map(_tensor, preset.learned_words)),
        knobs={name: value for name, value in values.items() if value is not None and value != ""},
        licence=preset.licence,
    )


def _tensor(file: TensorFile) -> StyleTensor:
    return StyleTensor(file.path, file.weight, file.sha256)


def _shares(parts: Sequence[Part]) -> list[Part]:
    """The parts with weights that sum to 1, without those of weight 0."""
    if any(not 0 <= weight < float("inf") for _, weight in parts):
        raise PresetError(
            "bad_preset",
            f"blend weights: expected 0 or more, got {[weight for _, weight in parts]}",
        )
    total = sum(weight for _, weight in parts)
    if not total:
        raise PresetError(
            "bad_preset",
            "blend: expected at least one style with a weight above 0, as in 'a 0.7 b 0.3'",
        )
    return [(preset, weight / total) for preset, weight in parts if weight]


def _check_one_of(field: str, parts: Sequence[Part]) -> None:
    owners = {getattr(preset, field): preset.name for preset, _ in parts}
    if len(owners) > 1:
        found = ", ".join(f"{name} has {value}" for value, name in owners.items())
        raise PresetError(
            "bad_preset",
            f"blend: expected styles of one {field}, but {found}: blend styles that share it",
        )


def _prompts(parts: Sequence[Part]) -> tuple[Prompt, ...]:
    """Equal texts become one prompt."""
    weights: dict[str, float] = {}
    for preset, share in parts:
        total = sum(prompt.weight for prompt in preset.prompts)
        for prompt in preset.prompts:
            weights[prompt.text] = weights.get(prompt.text, 0.0) + share * prompt.weight / total
    return tuple(Prompt(text=text, weight=weight) for text, weight in weights.items())


def _scale(
    parts: Sequence[Part], read: Callable[[Preset], Sequence[TensorFile]]
) -> tuple[TensorFile, ...]:
    """All tensor files with their weights: for adapters exactly w1 * update1 + w2 * update2."""
    scaled: dict[str, TensorFile] = {}
    for preset, share in parts:
        for tensor in read(preset):
            before = scaled[tensor.path].weight if tensor.path in scaled else 0.0
            scaled[tensor.path] = tensor.model_copy(
                update={"weight": before + share * tensor.weight}
            )
    return tuple(scaled.values())


def _heaviest(parts: Sequence[Part]) -> Preset:
    return max(parts, key=lambda part: part[1])[0]


def _blend_knob(knob: Knob, parts: Sequence[Part]) -> Value | None:
    values = [(knob_value(preset, knob), share) for preset, share in parts]
    if knob.blend == "heaviest":
        return knob_value(_heaviest(parts), knob)
    if knob.blend == "join":
        return _cut(_join([str(value) for value, _ in values if value]), int(knob.high))
    return _mean(
        knob, [(value, share) for value, share in values if isinstance(value, int | float)]
    )


def _mean(knob: Knob, stated: Sequence[tuple[float, float]]) -> float | None:
    """Weighted mean over the presets that state the knob; None when none does."""
    if not stated:
        return None
    total = sum(share for _, share in stated)
    mean = round(sum(value * share for value, share in stated) / total, 6)
    return round(mean) if knob.type == "i" else mean


def _join(texts: Sequence[str]) -> str:
    """Without repetitions, in order."""
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _cut(text: str, most_bytes: int) -> str:
    """Without the character that the limit would break."""
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")
