"""Mixing styles, and filling in the user's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from presets.errors import PresetError
from presets.schema import USER_TEXT, AudioPrompt, Preset, Prompt, TensorFile

Part = tuple[Preset, float]


def blend(parts: Sequence[Part], name: str = "") -> Preset:
    """One preset out of several with weights; 0.7 and 0.3, or 7 and 3: only ratios count.

    Prompts: each style's sum to its share. Numeric knobs: weighted mean over the styles that state
    them. Adapters: all of them, weights scaled (equal to adding the scaled updates). Soft prompts:
    all of them, weights scaled. Raises PresetError(bad_preset) for different models or tasks.
    """
    parts = _shares(parts)
    _check_one_of("model", parts)
    _check_one_of("task", parts)
    learned = _scaled(
        parts, lambda preset: [*filter(None, [preset.soft_prompt]), *preset.soft_prompts]
    )
    heaviest = max(parts, key=lambda part: part[1])[0]
    recipe = [f"{preset.name} {share:.3g}" for preset, share in parts]
    return Preset(
        name=name or "_".join(recipe).replace(" ", "_")[:128],
        title=" + ".join(f"{preset.title} {share:.0%}" for preset, share in parts)[:300],
        description=("blend of " + ", ".join(recipe))[:300],
        model=heaviest.model,
        task=heaviest.task,
        prompts=_prompts(parts),
        negative_prompt=_joined([preset.negative_prompt for preset, _ in parts])[:300],
        adapters=_scaled(parts, lambda preset: preset.adapters),
        soft_prompt=learned[0] if len(learned) == 1 else None,
        soft_prompts=learned if len(learned) > 1 else (),
        audio_prompt=AudioPrompt(
            pooling=_rounded(_mean(parts, lambda preset: preset.audio_prompt.pooling)),
            scale=_mean(parts, lambda preset: preset.audio_prompt.scale),
            fidelity=_mean(parts, lambda preset: preset.audio_prompt.fidelity),
        ),
        guidance=_mean(parts, lambda preset: preset.guidance),
        guidance_from=_mean(parts, lambda preset: preset.guidance_from),
        guidance_to=_mean(parts, lambda preset: preset.guidance_to),
        steps=_rounded(_mean(parts, lambda preset: preset.steps)),
        temperature=_mean(parts, lambda preset: preset.temperature),
        top_k=_rounded(_mean(parts, lambda preset: preset.top_k)),
        seed=heaviest.seed,
        licence=_joined([preset.licence for preset, _ in parts])[:300],
    )


def resolve(preset: Preset, user_text: str = "") -> dict[str, Any]:
    """The preset as a plain JSON-able dict for the engine, the user's words filled in.

    Keys are the YAML's, less notes and description, plus `uses_text`: False when no prompt has
    a place for the user's words. A prompt that is empty without them is dropped. `soft_prompt`
    is a list where there are several.
    """
    words = " ".join(user_text.split())
    filled = [
        (" ".join(prompt.text.replace(USER_TEXT, words).split()), prompt.weight)
        for prompt in preset.prompts
    ]
    plain = preset.model_dump(mode="json", exclude={"description", "notes", "prompts"})
    learned = [*filter(None, [plain["soft_prompt"]]), *plain.pop("soft_prompts")]
    return {
        **plain,
        "soft_prompt": learned if len(learned) > 1 else next(iter(learned), None),
        "prompts": [{"text": text, "weight": weight} for text, weight in filled if text],
        "uses_text": preset.uses_text,
    }


def _shares(parts: Sequence[Part]) -> list[Part]:
    """Weights made to sum to 1; a style at 0 takes no part."""
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


def _scaled(
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


def _mean(parts: Sequence[Part], read: Callable[[Preset], float | None]) -> float | None:
    """Weighted mean over the styles that state the knob; None when none does."""
    stated = [(value, share) for preset, share in parts if (value := read(preset)) is not None]
    total = sum(share for _, share in stated)
    return round(sum(value * share for value, share in stated) / total, 6) if stated else None


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _joined(texts: Sequence[str]) -> str:
    """Without repetitions, in order."""
    return ", ".join(dict.fromkeys(text for text in texts if text))
