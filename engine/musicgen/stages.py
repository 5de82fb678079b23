"""The graphs of musicgen. B: branches of the guidance, L: words (with learned ones), S: first steps, P: steps so far,
T: frames of codes (50 a second), N: samples (32 kHz), C: codebooks of one channel. Widths are those of -small.

The keys and values of all layers are one tensor [layers, B, heads, steps, width of a head]. A step gives its own
alone, to be put behind those before it. The stereo checkpoints have 8 codebooks in `tokens` and `logits`; EnCodec
hears and makes one channel at a time. Where the decoder hears no cross-attention (-melody), `states` begins with the
melody and P counts it, and nothing is said of words after the first call.
"""

from __future__ import annotations

from engine.families import Port, Stage

WIDTH, TEXT_WIDTH, LAYERS, HEADS, HEAD_WIDTH = 1024, 768, 24, 16, 64
CODEBOOKS, TOKENS = 4, 2048


def _memory(name: str, steps: str | int) -> tuple[Port, Port]:
    axes = (LAYERS, "B", HEADS, steps, HEAD_WIDTH)
    return Port(f"{name}_keys", axes), Port(f"{name}_values", axes)


_STATES = Port("states", ("B", "L", WIDTH))
_MASK = Port("mask", ("B", "L"), "int64")  # 1: a word, 0: none
_LOGITS = Port("logits", ("B", CODEBOOKS, TOKENS))
_CODES = Port("codes", ("B", "C", "T"), "int64")
_SAMPLES = Port("samples", ("B", "N"))
_FIRST = Port("tokens", ("B", CODEBOOKS, "S"), "int64")  # the start token, and a prompt's steps
_NEXT = Port("tokens", ("B", CODEBOOKS, 1), "int64")

_WORDS_AND_SOUND = (
    Stage(
        "word_embedding",
        inputs=(Port("input_ids", ("B", "L"), "int64"),),
        outputs=(Port("embedded", ("B", "L", TEXT_WIDTH)),),
    ),
    Stage("text_encoder", inputs=(Port("embedded", ("B", "L", TEXT_WIDTH)), _MASK), outputs=(_STATES,)),
    Stage("codec_encoder", inputs=(_SAMPLES,), outputs=(_CODES,)),
    Stage("codec_decoder", inputs=(_CODES,), outputs=(_SAMPLES,)),
)
STAGES = (
    *_WORDS_AND_SOUND,
    Stage(
        "prefill",
        inputs=(_FIRST, _STATES, _MASK),
        outputs=(_LOGITS, *_memory("own", "S"), *_memory("words", "L")),
    ),
    Stage(
        "step",
        inputs=(_NEXT, _MASK, *_memory("own", "P"), *_memory("words", "L")),
        outputs=(_LOGITS, *_memory("new", 1)),
    ),
)
MELODY_STAGES = (
    *_WORDS_AND_SOUND,
    Stage(
        "melody",
        inputs=(Port("chroma", ("B", 235, 12)),),
        outputs=(Port("melody_states", ("B", 235, WIDTH)),),
    ),
    Stage("prefill", inputs=(_FIRST, _STATES), outputs=(_LOGITS, *_memory("own", "P"))),
    Stage("step", inputs=(_NEXT, *_memory("own", "P")), outputs=(_LOGITS, *_memory("new", 1))),
)
