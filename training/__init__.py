"""How does a folder of recordings, or a made-up score, become a model or a preset? Data factory, codec, transformer, release."""
