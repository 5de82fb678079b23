"""How does a language model of audio codes make a stem?

MusicGen (Copet et al. 2023) on transformers' own classes.

Only `family` and `weights` are imported before somebody asks for the family: they need no torch.
"""
