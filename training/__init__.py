"""How is the model made? Data factory, codec, transformer, release.

Run in this order: data, codec encoder, codec decoder and then sharpened beside transformer,
release. What is played stands in pieces, by what in instruments, in which colour in colours, asked
for how in phrases. A source is made foreign once in augment, and at every visit in disguise; whom
the decoder has to deceive stands in critic. judge and genre_judge are for the evaluation.
"""
