"""The fields of a style, their ranges and their help: the one description of the YAML format.

Strict: `weight: yes` or `steps: "8"` is an error, not a guess. None means "not stated":
the client's knob, then the preset, then the model family's own default decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

TASKS = (
    "timbre",
    "accompaniment",
    "genre",
    "continue",
    "generate",
    "repaint",
    "cover",
    "lego",
    "complete",
    "extract",  # as ACE-Step calls them
)
MAX_SEED = 2**31 - 1  # OSC integers are signed 32 bit
USER_TEXT = "{text}"  # stands for the user's words in a prompt

OneLine = Annotated[str, StringConstraints(pattern=r"^[^\r\n]*\S[^\r\n]*$", max_length=300)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=128)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TensorPath = Annotated[str, StringConstraints(pattern=r"\.safetensors$", max_length=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Prompt(_Strict):
    """Words for the text condition, and how much they count beside the other prompts."""

    text: OneLine = Field(description="words; {text} is replaced by the user's own")
    weight: float = Field(
        1.0, gt=0, le=100, description="share among the prompts; only ratios count"
    )


class TensorFile(_Strict):
    """Trained numbers beside the YAML file: safetensors only, with their hash."""

    path: TensorPath = Field(description="safetensors file, relative to the YAML file")
    weight: float = Field(1.0, ge=-2, le=2, description="1 = as trained, 0 = off")
    sha256: Sha256 = Field(description="64 hex digits of the file's SHA-256")


class AudioPrompt(_Strict):
    """How much of the source is heard through: coarser and weaker lets the style change more."""

    pooling: int | None = Field(None, ge=1, le=8, description="frames per audio token (omega)")
    scale: float | None = Field(None, ge=0, le=2, description="weight of the audio prompt (alpha)")
    fidelity: float | None = Field(
        None, ge=0, le=2, description="how strictly its notes and attacks are kept"
    )


class Preset(_Strict):
    """One style."""

    name: Name = Field(description="what clients say; equals the file name without .yaml")
    title: OneLine = Field(description="what people read")
    description: OneLine = Field(description="one line: what it does to a region")
    model: Name = Field("nano", description="model family that plays it")
    task: Literal[TASKS] = Field("timbre", description="what is asked of the model")
    prompts: tuple[Prompt, ...] = Field(
        min_length=1, max_length=16, strict=False, description="mixed in embedding space by weight"
    )
    negative_prompt: str = Field("", max_length=300, description="words to steer away from")
    adapters: tuple[TensorFile, ...] = Field(
        (),
        max_length=16,
        strict=False,
        description="LoRA files, added with their weights; or one AP-Adapter, for audioldm2",
    )
    soft_prompt: TensorFile | None = Field(None, description="learned text tokens")
    soft_prompts: tuple[TensorFile, ...] = Field(
        (),
        max_length=16,
        strict=False,
        description="several of them, mixed by weight: what a blend makes",
    )
    audio_prompt: AudioPrompt = Field(AudioPrompt(), description="how the source is listened to")
    guidance: float | None = Field(None, ge=0, le=10, description="push towards the words (lambda)")
    guidance_from: float | None = Field(
        None, ge=0, le=1, description="guidance begins there: 0 noise, 1 sound"
    )
    guidance_to: float | None = Field(None, ge=0, le=1, description="guidance ends there")
    steps: int | None = Field(None, ge=1, le=100, description="sampling steps")
    temperature: float | None = Field(
        None, ge=0, le=4, description="of a language model: more is bolder"
    )
    top_k: int | None = Field(
        None, ge=1, le=2048, description="of a language model: the likeliest so many are drawn"
    )
    seed: int | None = Field(None, ge=-1, le=MAX_SEED, description="-1 = a new one each time")
    licence: OneLine = Field(description="of this style and its tensors")
    notes: str = Field("", max_length=4000, description="anything else, for people")

    @property
    def uses_text(self) -> bool:
        """Whether the user's words reach the model."""
        return any(USER_TEXT in prompt.text for prompt in self.prompts)


@dataclass(frozen=True)
class Parameter:
    """One knob of a preset as clients see it; None: not stated by the preset, or no limit."""

    name: str
    type: str
    low: float | None
    high: float | None
    value: int | float | str | None
    help: str


# wire name -> (path in the preset, OSC type). Ranges and help come from the fields themselves.
_KNOBS = {
    "strength": (("audio_prompt", "scale"), "f"),
    "pooling": (("audio_prompt", "pooling"), "i"),
    "fidelity": (("audio_prompt", "fidelity"), "f"),
    "guidance": (("guidance",), "f"),
    "guidance_from": (("guidance_from",), "f"),
    "guidance_to": (("guidance_to",), "f"),
    "negative": (("negative_prompt",), "s"),
    "steps": (("steps",), "i"),
    "seed": (("seed",), "i"),
    "temperature": (("temperature",), "f"),
    "top_k": (("top_k",), "i"),
}


def parameters(preset: Preset) -> tuple[Parameter, ...]:
    """The knobs a client may turn, under their names on the wire, with this preset's values."""
    return tuple(_parameter(preset, knob, *row) for knob, row in _KNOBS.items())


def _parameter(preset: Preset, knob: str, path: tuple[str, ...], kind: str) -> Parameter:
    owner = preset
    for part in path[:-1]:
        owner = getattr(owner, part)
    field = type(owner).model_fields[path[-1]]
    limit = {
        key: getattr(item, key)
        for item in field.metadata
        for key in ("ge", "le")
        if hasattr(item, key)
    }
    return Parameter(
        knob,
        kind,
        limit.get("ge"),
        limit.get("le"),
        getattr(owner, path[-1]),
        field.description or "",
    )
