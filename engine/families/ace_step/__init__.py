"""ace_step: ACE-Step 1.5 (Gong et al. 2026) with diffusers' and transformers' own classes: stems,
covers, repainting.

Only `family`, `weights`, `tasks` and `stages` are imported before somebody asks for the family:
they need no torch.
"""
