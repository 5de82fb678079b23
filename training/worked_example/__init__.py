"""The worked example: nano learns a sound from a handful of recordings, and is examined.

Users have the same by `retimbre train run clips --family nano` (training.adapt.models.nano).

scenario.py  which sound, from what
restore.py   the shipped graphs back as torch modules
pairs.py     recordings alone -> pairs: nano plays each on other instruments
learn.py     LoRA on the attention projections, or learned words; the style's file and preset
served.py    nano on its exported graphs, as a server plays it
figures.py   gain on unseen scores, what is kept of other prompts, blends
live.py      switching while a server runs
page.py, page.md, picture.py  the page for docs/
example.py   all of it: python -m training.worked_example.example
"""
