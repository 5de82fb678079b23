"""AP-Adapter's first three experiments on nano's weights, and others: docs/experiments.md.

knobs.py    pooling, negative words, steps: settings side by side on the same regions and noise
fused.py    one softmax over words and region, beside nano's two
length.py   ten minutes: does the sound drift, are there seams?
ledger.py   what is measured already; an interrupted command goes on
page.py     tables and pictures into the page

python -m training.experiments
"""
