"""The graphs of nano.

B: batch, T: latent frames (25 a second), L: text tokens, A: pooled audio tokens, F: spectra.
"""

from __future__ import annotations

from engine.families.nano.features import FEATURE_WIDTH, LATENT_CHANNELS
from engine.families.nano.synthesis import BINS, SLOTS
from engine.stages import Port, Stage

TOKEN_WIDTH = 384
TIME_WIDTH = 256

STAGES = (
    Stage(
        "text_encoder",
        inputs=(
            Port("input_ids", ("B", "L"), "int64"),
            Port("attention_mask", ("B", "L"), "int64"),
        ),
        outputs=(Port("tokens", ("B", "L", TOKEN_WIDTH)),),
    ),
    Stage(
        "codec_encoder",
        inputs=(Port("features", ("B", "T", FEATURE_WIDTH)),),
        outputs=(Port("latent", ("B", "T", LATENT_CHANNELS)),),
    ),
    Stage(
        "audio_encoder",
        inputs=(Port("features", ("B", "T", FEATURE_WIDTH)),),
        outputs=(Port("tokens", ("B", "T", TOKEN_WIDTH)),),
    ),
    Stage(
        "denoiser",
        inputs=(
            Port("latent", ("B", "T", LATENT_CHANNELS)),
            Port("time_embedding", ("B", TIME_WIDTH)),
            Port("text", ("B", "L", TOKEN_WIDTH)),
            # added to the attention scores: log(weight), or -1e4 for padding
            Port("text_bias", ("B", "L")),
            Port("audio", ("B", "A", TOKEN_WIDTH)),
            # centre of each pool, in latent frames of its window
            Port("audio_position", ("B", "A")),
            Port("audio_scale", ("B",)),  # alpha; 0: no audio prompt
        ),
        outputs=(Port("velocity", ("B", "T", LATENT_CHANNELS)),),
    ),
    Stage(
        "latent_decoder",
        inputs=(Port("latent", ("B", "T", LATENT_CHANNELS)),),
        outputs=(
            Port("log_magnitude", ("B", "F", BINS)),
            Port("phase", ("B", "F", BINS)),
            Port("log_amplitude", ("B", "F", SLOTS)),
            Port("offset", ("B", "F", SLOTS)),  # of a partial from its slot, in slot widths
        ),
    ),
)
