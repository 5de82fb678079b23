"""Which graphs make up AudioLDM2, with which inputs and outputs?

B: batch, L: words, S: the language model's sequence, A: pooled audio tokens, T: latent frames (25 a
second), M: mel frames (100 a second), N: samples (16 kHz). Widths are the published ones.
"""

from __future__ import annotations

from engine.families.audioldm2.features import FBANK_BANDS, MEL_BANDS
from engine.stages import Port, Stage

CLAP_WIDTH, T5_WIDTH, GPT2_WIDTH = 512, 1024, 768
AUDIO_FRAMES, AUDIO_TOKENS = 1024, 512  # of one window of 10.24 s: 64 x 8 tokens
TIME_WIDTH = 128
LATENT_CHANNELS, LATENT_BANDS = 8, 16

_WORDS = (Port("input_ids", ("B", "L"), "int64"), Port("attention_mask", ("B", "L"), "int64"))
_EMBEDDED = Port("embedded", ("B", "L", T5_WIDTH))  # of words, soft prompts among them
_LATENT = Port("latent", ("B", LATENT_CHANNELS, "T", LATENT_BANDS))
_MEL = Port("mel", ("B", "M", MEL_BANDS))

STAGES = (
    Stage("clap_text", inputs=_WORDS, outputs=(Port("embedding", ("B", CLAP_WIDTH)),)),
    Stage("word_embedding", inputs=_WORDS[:1], outputs=(_EMBEDDED,)),
    Stage(
        "t5_encoder", inputs=(_EMBEDDED, _WORDS[1]), outputs=(Port("tokens", ("B", "L", T5_WIDTH)),)
    ),
    Stage(
        "projection",
        inputs=(
            Port("embedding", ("B", CLAP_WIDTH)),
            Port("tokens", ("B", "L", T5_WIDTH)),
            Port("attention_mask", ("B", "L"), "int64"),
        ),
        outputs=(
            Port("sequence", ("B", "S", GPT2_WIDTH)),
            Port("sequence_mask", ("B", "S"), "int64"),
        ),
    ),
    # one step of eight: each result is appended to the sequence of the next call
    Stage(
        "language_model",
        inputs=(
            Port("sequence", ("B", "S", GPT2_WIDTH)),
            Port("sequence_mask", ("B", "S"), "int64"),
        ),
        outputs=(Port("next", ("B", GPT2_WIDTH)),),
    ),
    Stage(
        "audio_encoder",
        inputs=(Port("fbank", ("B", AUDIO_FRAMES, FBANK_BANDS)),),
        outputs=(Port("tokens", ("B", AUDIO_TOKENS, GPT2_WIDTH)),),
    ),
    Stage(
        "unet",
        inputs=(
            _LATENT,
            # outside the graph: half precision would lose whole radians
            Port("time_embedding", ("B", TIME_WIDTH)),
            Port("generated", ("B", 8, GPT2_WIDTH)),
            Port("text", ("B", "L", T5_WIDTH)),
            Port("text_mask", ("B", "L")),  # 1: a word, 0: padding
            Port("audio", ("B", "A", GPT2_WIDTH)),
            # centre of each pool, in latent frames of its window
            Port("audio_position", ("B", "A")),
            Port("audio_scale", ("B",)),  # alpha; 0: the base model
        ),
        outputs=(Port("noise", ("B", LATENT_CHANNELS, "T", LATENT_BANDS)),),
    ),
    # for editing by partial noise and by inversion
    Stage("vae_encoder", inputs=(_MEL,), outputs=(_LATENT,)),
    Stage("vae_decoder", inputs=(_LATENT,), outputs=(_MEL,)),
    Stage("vocoder", inputs=(_MEL,), outputs=(Port("samples", ("B", "N")),)),
)
