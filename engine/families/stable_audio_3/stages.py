"""The graphs of stable_audio_3.

B: batch, N: samples (44.1 kHz), T: latent frames (4096 samples, 10.8 a second).

Words always take 256 places; the context has one more, for the length.
"""

from __future__ import annotations

from engine.stages import Port, Stage

MAX_WORDS, WORD_WIDTH = 256, 768
CHANNELS, LATENT_CHANNELS = 2, 256

_WORDS = (
    Port("input_ids", ("B", MAX_WORDS), "int64"),
    Port("attention_mask", ("B", MAX_WORDS), "int64"),
)
_LATENT = Port("latent", ("B", LATENT_CHANNELS, "T"))

STAGES = (
    Stage("text_encoder", inputs=_WORDS, outputs=(Port("words", ("B", MAX_WORDS, WORD_WIDTH)),)),
    Stage(
        "duration_embedder",
        inputs=(Port("seconds", ("B",)),),
        outputs=(Port("duration", ("B", WORD_WIDTH)),),
    ),
    Stage("vae_encoder", inputs=(Port("samples", ("B", CHANNELS, "N")),), outputs=(_LATENT,)),
    Stage(
        "transformer",
        inputs=(
            _LATENT,
            Port("time", ("B",)),  # 1: noise, 0: sound
            Port("context", ("B", MAX_WORDS + 1, WORD_WIDTH)),
            Port("context_mask", ("B", MAX_WORDS + 1), "int64"),  # 1: a word, 0: padding
            Port("duration", ("B", WORD_WIDTH)),
            # which frames stay (1), and their latent; else zeros
            Port("kept", ("B", 1 + LATENT_CHANNELS, "T")),
        ),
        outputs=(Port("velocity", ("B", LATENT_CHANNELS, "T")),),
    ),
    Stage("vae_decoder", inputs=(_LATENT,), outputs=(Port("samples", ("B", CHANNELS, "N")),)),
)
