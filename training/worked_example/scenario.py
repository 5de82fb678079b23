"""What the worked example learns, and from what."""

from __future__ import annotations

# in no table of evaluation/corpus/instruments.py, not even as a source
PHRASE, PROGRAM, SOUNDFONT = "steel drums", 114, "fluid"
RECORDINGS, HELD_BACK = 10, 2
SECONDS = 5.12
SEED = 11
FIRST_SCORE = 50_000  # of TEST_SEEDS: evaluation.corpus.pairs begins at 0
LICENCE = "MIT (rendered with FluidR3_GM)"
SHARES = (0.25, 0.5, 0.75)  # of the LoRA, in the blends with the base
