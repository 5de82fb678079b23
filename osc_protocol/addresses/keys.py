"""The key/value pairs of a job: its knobs, its region, and what becomes of the stems.

The Python client installs this package alone, so the knobs are written out here;
`tests/presets/test_faces.py` compares them with `presets/knobs.py`.
"""

from __future__ import annotations

from osc_protocol.addresses.arguments import LENGTH, START
from osc_protocol.addresses.constants import MIXTURE_BYTES, NEGATIVE_BYTES, PATH_BYTES
from osc_protocol.rows import Arg, by_name

# fmt: off
EDIT_KEYS = by_name((
    Arg("preset", "s", high=MIXTURE_BYTES, default="",
        help="a style from /preset/list, or several with weights: harp 0.7 pan_flute 0.3"),
    Arg("model", "s", default="", help="a model from /model/list"),
    Arg("seed", "i", low=-1, default=-1,
        help="-1: a new seed each time, below 2^24, which Pd's floats hold exactly"),
    Arg("strength", "f", low=0, high=2, default=None,
        help="how much the source is listened to (alpha)"),
    Arg("pooling", "i", low=1, high=8, default=None,
        help="how coarsely the source is heard: 1 fine, 8 coarse (omega)"),
    Arg("fidelity", "f", low=0, high=2, default=None,
        help="how strictly the source's balance of notes and its attacks are kept"),
    Arg("guidance", "f", low=0, high=10, default=None,
        help="how strictly the text is followed (lambda); 1: no guidance"),
    Arg("guidance_from", "f", low=0, high=1, default=None,
        help="guidance begins at this point between noise (0) and sound (1); a short span is "
             "quicker"),
    Arg("guidance_to", "f", low=0, high=1, default=None,
        help="guidance ends at this point"),
    Arg("negative", "s", high=NEGATIVE_BYTES, default=None,
        help="what to move away from, in words"),
    Arg("steps", "i", low=1, high=100, default=None,
        help="sampling steps: more is slower and finer"),
    Arg("temperature", "f", low=0, high=4, default=None,
        help="for language models: higher is bolder, 0 takes the likeliest"),
    Arg("top_k", "i", low=1, high=2048, default=None,
        help="for language models: how many of the likeliest tokens to draw from"),
    START,
    LENGTH,
    Arg("fit", "s", choices=("same",), default="same",
        help="same: the stem has the region's rate, channels and frames"),
    Arg("format", "s", choices=("wav", "flac", "aiff"), default="wav",
        help="the stem's file format"),
    Arg("bits", "s", choices=("same", "f32", "s24", "s16"), default="same",
        help="the format of the stem's samples"),
    Arg("level", "s", choices=("match", "none"), default="match",
        help="match: as loud as the region"),
    Arg("out", "s", high=PATH_BYTES, default="",
        help="a folder under an allowed root that gets the stems"),
    Arg("tempo", "f", "bpm", low=0, high=400, default=0.0,
        help="tempo of the region, if you know it; 0: estimated from the sound"),
    Arg("beats_start", "f", "beats", default=0.0,
        help="the region's place on your timeline; comes back in /result"),
    Arg("takes", "i", low=1, high=8, default=1, help="how many versions, each with its own seed"),
    Arg("stems", "s", high=256, default="",
        help="which stems, comma separated; empty: all that the model makes"),
    Arg("priority", "i", low=-10, high=10, default=0, help="higher is served first"),
    Arg("deadline", "f", "seconds", low=0, default=0.0,
        help="fail with timed_out if not done by then; 0: never"),
))
# fmt: on
REGION_KEYS = by_name(arg for arg in EDIT_KEYS.values() if arg not in (START, LENGTH))
