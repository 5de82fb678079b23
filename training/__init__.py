"""How are models made and adapted?

nano/            the shipped model: data, codec, transformer, release, in this order
judges/          the networks by which the evaluation judges instruments and genres
adapt/           `retimbre train`: a style from clips, on every family
dataset/         `retimbre data`: clips from recordings
worked_example/  nano learns one sound from ten recordings: docs/adaptation_example.md
ap_adapter/      an AP-Adapter for AudioLDM2
experiments/     what is measured once: docs/experiments.md
pages/           pictures and sounds of docs and demo
loop/            the training loop of all of these
"""
