"""How nano is made: data factory, codec, transformer, release."""
