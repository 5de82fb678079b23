"""How does a model learn, step by step? One loop for nano, adaptation, judges and examples.

loop.py          batches -> losses -> gradients -> a step of the weights, until done or paused
optimisation.py  optimisers, learning rates by step, the running average of the weights
checkpoints.py   what a run needs to go on: one file, or a folder for each saved step
validation.py    the loss on held-out data, the best step so far, early stopping
logs.py          log.jsonl, TensorBoard and the progress bar
pause.py         ctrl-C, a polite end, or a file named `pause`
run_folder.py    a whole model in a folder of its own: last.pt, log.jsonl, config.json
"""

from training.loop.checkpoints import StateFile, StateFolders, part_of
from training.loop.logs import Log, ProgressBar, open_board
from training.loop.loop import FINISHED, PAUSED, Loop, Progress
from training.loop.optimisation import (
    Constant,
    Optimisation,
    Schedule,
    WeightAverage,
    cosine_after_warmup,
    make_optimisers,
)
from training.loop.pause import Pause
from training.loop.run_folder import load_average, run, steps_done
from training.loop.validation import STOPPED_EARLY, Validation

__all__ = [
    "FINISHED",
    "PAUSED",
    "STOPPED_EARLY",
    "Constant",
    "Log",
    "Loop",
    "Optimisation",
    "Pause",
    "Progress",
    "ProgressBar",
    "Schedule",
    "StateFile",
    "StateFolders",
    "Validation",
    "WeightAverage",
    "cosine_after_warmup",
    "load_average",
    "make_optimisers",
    "open_board",
    "part_of",
    "run",
    "steps_done",
]
