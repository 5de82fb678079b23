"""How does ACE-Step 1.5 (Gong et al. 2026) make stems, covers and repainted regions?

Only `family`, `weights`, `tasks` and `stages` are imported before somebody asks for the family:
they need no torch.
"""
