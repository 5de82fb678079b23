"""The sounds that are examined.

Made-up scores and arrangements rendered by a sampler, whose notes are known; real recordings; and
lists of results that somebody made.
"""
