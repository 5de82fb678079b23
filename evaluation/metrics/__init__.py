"""Figures about sounds. Each function states its definition and where it comes from."""
