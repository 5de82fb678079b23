"""Figures about sounds. Each function's docstring says its definition and source."""
