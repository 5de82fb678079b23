"""AP-Adapter's first three experiments on nano's weights, and what else has to be measured once:
docs/experiments.md.

knobs.py    pooling, negative words, steps: one setting beside the others on the same regions and noise
fused.py    one softmax over words and region, beside nano's two
length.py   ten minutes: does the sound drift, are there seams?
ledger.py   what is measured already; an interrupted command goes on
page.py     tables and pictures into the page

python -m training.experiments
"""
