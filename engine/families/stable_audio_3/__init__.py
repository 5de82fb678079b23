"""How does Stable Audio 3 (Stability AI 2026) make and edit stereo regions?

Only `family`, `weights`, `tasks` and `stages` are imported before somebody asks for the family:
they need no torch.
"""
