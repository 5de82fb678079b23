"""The model families, a folder each, and the table that lists them."""
