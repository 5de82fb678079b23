"""The styles of one model: several at once, changed while it stays loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from engine.adapters.files import Style
from engine.adapters.kinds import Attachment, Bottleneck, Full, Lora, Prefix
from engine.errors import EngineError

LORA_PART = re.compile(
    r"\.(lora_(?:A|B|embedding_A|embedding_B)|lora_magnitude_vector)(?:\.weight)?$"
)


def attach(module: nn.Module, style: Style, name: str) -> Attachment:
    """A file's style on a model, weight 1. EngineError bad_preset."""
    kinds = {
        "lora": _of_lora,
        "bottleneck": _of(Bottleneck),
        "prefix": _of(Prefix),
        "full": _of(Full),
    }
    if style.method not in kinds:
        known = ", ".join(kinds)
        raise EngineError(
            "bad_preset", f"this file is a {style.method}; on a model's weights go {known}"
        )
    attachment = kinds[style.method](module, style, name)
    try:
        attachment.load(style.tensors)
    except EngineError:
        attachment.remove()
        raise
    return attachment


def _of(kind: type) -> Any:
    return lambda module, style, name: kind(module, style.settings)


def _of_lora(module: nn.Module, style: Style, name: str) -> Lora:
    """The layers are those that the file has factors for, whatever its settings would match."""
    paths = sorted({LORA_PART.sub("", key) for key in style.tensors})
    return Lora(module, {**style.settings, "target_modules": paths}, name)


class Rack:
    """The styles of one model.

    What was worn before stays at hand, so that changing back is a matter of flags.
    """

    def __init__(self, module: nn.Module, kept: int = 8) -> None:
        self._module, self._kept = module, kept
        self._at_hand: dict[str, Attachment] = {}  # by key; the last worn at the end
        self._made = 0

    def wear(self, worn: Sequence[tuple[str, Style, float]]) -> None:
        """Exactly these (key, style, weight), the key changing with the file.

        EngineError bad_preset: as before.
        """
        active = [row for row in worn if row[2]]
        styles = {key: style for key, style, _ in active}
        _check_blend(list(styles.values()))
        if any(style.method == "full" for style in styles.values()) or self._is_any_full():
            # a whole model knows nothing of layers that were put into it
            self._forget(set(styles), 0)
        for key, style in styles.items():
            if key in self._at_hand:
                self._at_hand[key] = self._at_hand.pop(key)
            else:
                self._made += 1
                self._at_hand[key] = attach(self._module, style, f"style{self._made}")
        for key, attachment in self._at_hand.items():
            attachment.set_weight(sum(weight for worn_key, _, weight in active if worn_key == key))
        self._forget(set(styles), self._kept)

    def _is_any_full(self) -> bool:
        return any(isinstance(attachment, Full) for attachment in self._at_hand.values())

    def _forget(self, needed: set[str], kept: int) -> None:
        """Take the longest unworn off until no more than `kept` are at hand."""
        for key in [key for key in self._at_hand if key not in needed]:
            if len(self._at_hand) <= kept:
                return
            self._at_hand.pop(key).remove()


def _check_blend(styles: Sequence[Style]) -> None:
    """Sums are exact for everything but DoRA and whole models, which go alone."""
    alone = [style for style in styles if style.method == "full" or style.settings.get("use_dora")]
    if alone and len(styles) > 1:
        kind = "DoRA" if alone[0].method == "lora" else "a full model"
        raise EngineError(
            "bad_preset", f"{kind} cannot be blended: its change is no sum; wear it alone"
        )
