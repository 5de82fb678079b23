"""The graphs of musicgen. B: branches of the guidance, L: words (with learned ones), S: first
steps, P: room for steps, T: frames of codes (50 a second), N: samples (32 kHz), C: codebooks of
one channel.

Keys and values are a tensor a layer, [B, heads, steps, width of a head]. `step` reads the first
`position` of the P that there is room for and gives its own alone, to be written behind them:
nothing is copied, and shapes stay the same for hundreds of steps. The stereo checkpoints have 8
codebooks in `tokens` and `logits`; EnCodec hears and makes one channel at a time. Where the decoder
hears no cross-attention (-melody), `states` begins with the melody, whose keys lie among its own,
and nothing is said of words after the first call.
"""

from __future__ import annotations

from engine.stages import Port, Stage


def table(
    width: int = 1024,
    text_width: int = 768,
    layers: int = 24,
    heads: int = 16,
    codebooks: int = 4,
    tokens: int = 2048,
    chroma_frames: int = 0,
) -> tuple[Stage, ...]:
    """The stages of a checkpoint of this size (that of -small); `chroma_frames` (235): one that
    hears melodies.
    """

    def memory(name: str, steps: str | int) -> tuple[Port, ...]:
        axes = ("B", heads, steps, width // heads)
        return tuple(
            Port(f"{name}_{what}_{layer}", axes)
            for layer in range(layers)
            for what in ("keys", "values")
        )

    # 1: a word, 0: none
    states, mask = Port("states", ("B", "L", width)), Port("mask", ("B", "L"), "int64")
    logits = Port("logits", ("B", codebooks, tokens))
    codes, samples = Port("codes", ("B", "C", "T"), "int64"), Port("samples", ("B", "N"))
    first = Port("tokens", ("B", codebooks, "S"), "int64")  # the start token, and a prompt's steps
    following = (Port("tokens", ("B", codebooks, 1), "int64"), Port("position", (1,), "int64"))
    embedded = Port("embedded", ("B", "L", text_width))
    shared = (
        Stage("word_embedding", (Port("input_ids", ("B", "L"), "int64"),), (embedded,)),
        Stage("text_encoder", (embedded, mask), (states,)),
        Stage("codec_encoder", (samples,), (codes,)),
        Stage("codec_decoder", (codes,), (samples,)),
    )
    if chroma_frames:
        heard = Port("melody_states", ("B", chroma_frames, width))
        return (
            *shared,
            Stage("melody", (Port("chroma", ("B", chroma_frames, 12)),), (heard,)),
            Stage("prefill", (first, states), (logits, *memory("own", "P"))),
            Stage("step", (*following, *memory("own", "P")), (logits, *memory("new", 1))),
        )
    return (
        *shared,
        Stage(
            "prefill", (first, states, mask), (logits, *memory("own", "S"), *memory("words", "L"))
        ),
        Stage(
            "step",
            (*following, mask, *memory("own", "P"), *memory("words", "L")),
            (logits, *memory("new", 1)),
        ),
    )


STAGES = table()
MELODY_STAGES = table(chroma_frames=235)
