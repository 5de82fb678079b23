"""How does AudioLDM2 with AP-Adapter give a region another timbre?

AP-Adapter (Tsai et al., ISMIR 2024) on diffusers' and transformers' own classes. `family`,
`weights`, `stages` and `features` import no torch: it is loaded only when a model is built or run.
"""
