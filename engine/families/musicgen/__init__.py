"""How does a language model of audio codes make a stem?

MusicGen (Copet et al. 2023) on transformers' own classes. `family` and `weights` need no torch; the
other modules are imported when a model is built or run.
"""
