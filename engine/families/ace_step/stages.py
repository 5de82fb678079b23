"""The graphs of ace_step. B: batch, L: words, M: lyrics, S: L + M + 1, N: samples (48 kHz), T:
latent frames (25 a second), R: latent frames of the timbre reference. Widths are those of the
published XL checkpoints.
"""

from __future__ import annotations

from engine.stages import Port, Stage

WORD_WIDTH, CONTEXT_WIDTH = 1024, 2048
CHANNELS, LATENT_CHANNELS = 2, 64

_IDS = Port("input_ids", ("B", "L"), "int64")
_LATENT = Port("latent", ("B", "T", LATENT_CHANNELS))

STAGES = (
    Stage("text_encoder", inputs=(_IDS,), outputs=(Port("words", ("B", "L", WORD_WIDTH)),)),
    Stage("word_embedding", inputs=(_IDS,), outputs=(Port("lyrics", ("B", "L", WORD_WIDTH)),)),
    Stage(
        "condition_encoder",
        inputs=(
            Port("words", ("B", "L", WORD_WIDTH)),
            Port("lyrics", ("B", "M", WORD_WIDTH)),
            Port("timbre", ("B", "R", LATENT_CHANNELS)),
        ),
        outputs=(Port("context", ("B", "S", CONTEXT_WIDTH)),),
    ),
    Stage("vae_encoder", inputs=(Port("samples", ("B", CHANNELS, "N")),), outputs=(_LATENT,)),
    # what of a sound is music: 5 codes a second
    Stage("semantic_codes", inputs=(_LATENT,), outputs=(_LATENT,)),
    Stage(
        "transformer",
        inputs=(
            _LATENT,
            Port("time", ("B",)),  # 1: noise, 0: sound
            Port("context", ("B", "S", CONTEXT_WIDTH)),
            # the source's latent, then the mask of what is made
            Port("source", ("B", "T", 2 * LATENT_CHANNELS)),
        ),
        outputs=(Port("velocity", ("B", "T", LATENT_CHANNELS)),),
    ),
    Stage("vae_decoder", inputs=(_LATENT,), outputs=(Port("samples", ("B", CHANNELS, "N")),)),
)
