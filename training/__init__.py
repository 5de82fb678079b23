"""How is the model made? Data factory, codec, transformer, release.

Run in this order: data, codec encoder, codec decoder beside transformer, release; judge is for the evaluation.
"""
