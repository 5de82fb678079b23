"""Plays one-sample clicks at 400 bpm, the first of four louder. Ends with its stdin."""

import sys

import numpy as np
import sounddevice

device, rate_hz = sys.argv[1], int(sys.argv[2])
BEAT = rate_hz * 3 // 20
bar = np.zeros(4 * BEAT, np.float32)
bar[::BEAT] = 0.9, 0.5, 0.6, 0.7
at = 0


def play(out, frames, times, status):
    global at
    out[:, 0] = np.take(bar, range(at, at + frames), mode="wrap")
    at += frames


with sounddevice.OutputStream(device=device, samplerate=rate_hz, channels=1, callback=play):
    print("plays", flush=True)
    sys.stdin.read()
