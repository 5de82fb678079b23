"""Commands that other packages run: their own `main` reads the rest of the line."""
