"""An AP-Adapter for AudioLDM2 is trained on any folder of recordings with captions.

data.py       which sounds there are, and their words
windows.py    windows of sounds as the pictures that VAE and AudioMAE see
objective.py  the paper's loss, and how its memory is kept small
__main__.py   python -m training.ap_adapter
"""
