"""What do the families on torch, transformers and diffusers have in common?

Only `weights` and `window` are imported at the start; torch and its friends come with the first
function that needs them. Nothing is ever fetched.
"""
