"""What does the manifest say about words that a model read only in part?"""

from __future__ import annotations

from collections.abc import Callable

from engine.knobs import Knobs


def cut_text_notes(knobs: Knobs, is_cut: Callable[[str], bool]) -> list[str]:
    """A note for every prompt, and for the negative one, that is longer than the encoder reads."""
    texts = [text for text, _ in knobs.prompts] + [knobs.negative]
    return [f"text: only the beginning of {text!r:.60} was read" for text in texts if is_cut(text)]
