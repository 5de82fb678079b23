"""The worked example: nano learns a sound from a handful of recordings, on the CPU, in minutes, and
is examined.

Users have the same by `retimbre train run clips --family nano` (training.adapt.nano), with all that
a run has there.

restore.py   the shipped graphs back as torch modules
pairs.py     recordings alone -> pairs: nano itself plays each on other instruments, and learns the way back
learn.py     LoRA on the attention projections, or learned words; the style's file and preset
figures.py   is it any good? gain on unseen scores, what is kept of other prompts, blends, switching while live
example.py   all of it with a page for docs/: python -m training.worked_example.example
"""
