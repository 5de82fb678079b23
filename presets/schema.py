"""The fields of a style, their ranges and their help: the one description of the YAML format.

Strict: `weight: yes` or `steps: "8"` is an error, not a guess. None means "not stated":
the client's knob, then the preset, then the model family's own default decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from presets.knobs import KNOBS, PRESET_KNOBS, Knob, Value

# fmt: off
Task = Literal["timbre", "accompaniment", "genre", "continue", "generate", "repaint",
               "cover", "lego", "complete", "extract"]  # the last four as ACE-Step calls them
# fmt: on
USER_TEXT = "{text}"  # stands for the user's words in a prompt


def _knob(name: str) -> Any:
    """A field for a number in the table of knobs: its range and help, and None for "not stated"."""
    knob = KNOBS[name]
    return Field(default=None, ge=knob.low, le=knob.high, description=knob.help)


def _check_negative(text: str) -> str:
    knob = KNOBS["negative"]
    if knob.admits(text):
        return text
    raise ValueError(f"expected at most {knob.high:.0f} bytes")


OneLine = Annotated[str, StringConstraints(pattern=r"^[^\r\n]*\S[^\r\n]*$", max_length=300)]
# as many characters as a name on the wire may have
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TensorPath = Annotated[str, StringConstraints(pattern=r"\.safetensors$", max_length=1000)]
Negative = Annotated[str, AfterValidator(_check_negative)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Prompt(_Strict):
    """Words for the text condition, and how much they count beside the other prompts."""

    text: OneLine = Field(description="words; {text} is replaced by the user's own")
    weight: float = Field(
        default=1.0, gt=0, le=100, description="share among the prompts; only ratios count"
    )


class TensorFile(_Strict):
    """Trained numbers beside the YAML file: safetensors only, with their hash."""

    path: TensorPath = Field(description="safetensors file, relative to the YAML file")
    weight: float = Field(default=1.0, ge=-2, le=2, description="1 = as trained, 0 = off")
    sha256: Sha256 = Field(description="64 hex digits of the file's SHA-256")


class AudioPrompt(_Strict):
    """How closely the source is followed: coarser and weaker lets the style change more."""

    pooling: int | None = _knob("pooling")
    scale: float | None = _knob("strength")
    fidelity: float | None = _knob("fidelity")


class Preset(_Strict):
    """One style."""

    name: Name = Field(description="what clients say; equals the file name without .yaml")
    title: OneLine = Field(description="what people read")
    description: OneLine = Field(description="one line: what it does to a region")
    model: Name = Field(default="nano", description="model family that plays it")
    task: Task = Field(default="timbre", description="what is asked of the model")
    prompts: tuple[Prompt, ...] = Field(
        min_length=1, max_length=16, strict=False, description="mixed in embedding space by weight"
    )
    negative_prompt: Negative = Field(default="", description=KNOBS["negative"].help)
    adapters: tuple[TensorFile, ...] = Field(
        default=(),
        max_length=16,
        strict=False,
        description="LoRA files, added with their weights; or one AP-Adapter, for audioldm2",
    )
    soft_prompt: TensorFile | None = Field(default=None, description="learned text tokens")
    soft_prompts: tuple[TensorFile, ...] = Field(
        default=(),
        max_length=16,
        strict=False,
        description="several of them, mixed by weight: what a blend makes",
    )
    audio_prompt: AudioPrompt = Field(
        default=AudioPrompt(), description="how the source is listened to"
    )
    guidance: float | None = _knob("guidance")
    guidance_from: float | None = _knob("guidance_from")
    guidance_to: float | None = _knob("guidance_to")
    steps: int | None = _knob("steps")
    temperature: float | None = _knob("temperature")
    top_k: int | None = _knob("top_k")
    seed: int | None = _knob("seed")
    licence: OneLine = Field(description="of this style and its tensors")
    notes: str = Field(default="", max_length=4000, description="anything else, for people")

    @property
    def learned_words(self) -> tuple[TensorFile, ...]:
        """The soft prompt, or the several of a blend."""
        return (self.soft_prompt, *self.soft_prompts) if self.soft_prompt else self.soft_prompts

    @property
    def uses_text(self) -> bool:
        """Whether the user's words reach the model."""
        return any(USER_TEXT in prompt.text for prompt in self.prompts)


@dataclass(frozen=True)
class Parameter:
    """One knob and its value in a preset; None: the preset does not state it."""

    knob: Knob
    value: Value | None


def parameters(preset: Preset) -> tuple[Parameter, ...]:
    """The knobs that a preset can state, with this preset's values."""
    return tuple(Parameter(knob, knob_value(preset, knob)) for knob in PRESET_KNOBS.values())


def knob_value(preset: Preset, knob: Knob) -> Value | None:
    """What the preset states for a knob of PRESET_KNOBS; None: nothing."""
    owner: Any = preset
    for name in knob.preset_path:
        owner = getattr(owner, name)
    value: Value | None = owner
    return value
