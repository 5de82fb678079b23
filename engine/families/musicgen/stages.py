"""Which graphs make up MusicGen, with which inputs and outputs?

B: branches of the guidance, L: words with a soft prompt's vectors, S: first steps, P: room for
steps, T: frames of codes (50 a second), N: samples (32 kHz), C: codebooks of one channel.

Each layer has its keys and values, [B, heads, steps, width of a head]. `step` reads the first
`position` of the P steps that there is room for and returns only its own, which the caller appends:
shapes stay the same for hundreds of steps. The stereo checkpoints have 8 codebooks in `tokens` and
`logits`; EnCodec encodes and decodes one channel at a time. The -melody decoder has no
cross-attention: its `states` begin with the melody, and later steps get no words.
"""

from __future__ import annotations

from engine.stages import Port, Stage

_MASK = Port("mask", ("B", "L"), "int64")  # 1: a word, 0: none


def table(
    width: int = 1024,
    text_width: int = 768,
    layers: int = 24,
    heads: int = 16,
    codebooks: int = 4,
    tokens: int = 2048,
    chroma_frames: int = 0,
) -> tuple[Stage, ...]:
    """The stages of a checkpoint; -small's sizes are the defaults.

    `chroma_frames`: 235 for a checkpoint that hears melodies.
    """

    def cache(name: str, steps: str | int) -> tuple[Port, ...]:
        axes = ("B", heads, steps, width // heads)
        return tuple(
            Port(f"{name}_{what}_{layer}", axes)
            for layer in range(layers)
            for what in ("keys", "values")
        )

    states, logits = Port("states", ("B", "L", width)), Port("logits", ("B", codebooks, tokens))
    first = Port("tokens", ("B", codebooks, "S"), "int64")  # the start token, and a prompt's steps
    following = (Port("tokens", ("B", codebooks, 1), "int64"), Port("position", (1,), "int64"))
    given = (logits, *cache("new", 1))
    encoders = _encoders(states, text_width)
    if chroma_frames:
        chroma = Port("chroma", ("B", chroma_frames, 12))
        melody = Stage("melody", (chroma,), (Port("melody_states", ("B", chroma_frames, width)),))
        prefill = Stage("prefill", (first, states), (logits, *cache("own", "P")))
        return (*encoders, melody, prefill, Stage("step", (*following, *cache("own", "P")), given))
    words = cache("words", "L")
    prefill = Stage("prefill", (first, states, _MASK), (logits, *cache("own", "S"), *words))
    step = Stage("step", (*following, _MASK, *cache("own", "P"), *words), given)
    return (*encoders, prefill, step)


def _encoders(states: Port, text_width: int) -> tuple[Stage, ...]:
    """The stages of words and sound."""
    embedded = Port("embedded", ("B", "L", text_width))
    codes, samples = Port("codes", ("B", "C", "T"), "int64"), Port("samples", ("B", "N"))
    return (
        Stage("word_embedding", (Port("input_ids", ("B", "L"), "int64"),), (embedded,)),
        Stage("text_encoder", (embedded, _MASK), (states,)),
        Stage("codec_encoder", (samples,), (codes,)),
        Stage("codec_decoder", (codes,), (samples,)),
    )


STAGES = table()
MELODY_STAGES = table(chroma_frames=235)
