"""Showing what an examination found: on the terminal, in JSON, in pictures, in docs/."""
