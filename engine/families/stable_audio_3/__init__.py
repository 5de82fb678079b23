"""stable_audio_3: Stable Audio 3 (Stability AI 2026) with diffusers' and transformers' own classes,
in stereo.

Only `family`, `weights`, `tasks` and `stages` are imported before somebody asks for the family:
they need no torch.
"""
