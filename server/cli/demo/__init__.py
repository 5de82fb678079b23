"""`retimbre demo`: the main job once, and a picture of it."""
