"""audioldm2: AP-Adapter (Tsai et al., ISMIR 2024) on AudioLDM2, with diffusers' and transformers'
own classes.

Rule: torch, diffusers and transformers are imported inside this folder only, and only when a model
is built or run; `weights`, `stages` and `features` need none of them. Weights are never downloaded
and never random.
"""
