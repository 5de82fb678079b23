"""fill.py FROM LEFT RIGHT: put a ramp, or the samples of the file FROM, into a session's files."""

import sys

import numpy as np
import soundfile

source, *paths = sys.argv[1:]
frames = soundfile.info(paths[0]).frames
ramp = np.linspace(-0.5, 0.5, frames)
samples = (
    np.stack([ramp, -ramp], axis=1)
    if source == "ramp"
    else soundfile.read(source, always_2d=True)[0]
)
for path, channel in zip(paths, samples.T, strict=True):
    with soundfile.SoundFile(path, "r+") as file:
        file.write(channel)
