"""nano's sampling step and its five seconds on the processor, side by side: torch on a net of the
same size, the released graphs, the exported ones (what stays the same is done once) in two
precisions, with styles of rank 16 and 64; the change of a style. Seconds are the process's own
on one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure
from benchmarks.setting import Setting

GOAL_SECONDS, GOAL_SWITCH_MS = 0.5, 1.0
THREADS = 1
RUNS, SWITCHES = 5, 200
RANKS = (16, 64)
TEXT, KNOBS = "a violin", {"seed": 3}
BATCH, FRAMES, WORDS = 2, 128, 7  # one window with guidance


def measure(setting: Setting) -> list[Figure]:
    """All rows side by side in one process, so that they can be compared."""
    from engine.families.nano.family import NanoFamily

    region = _region(setting.sizes.region_seconds)
    family, feed = NanoFamily.load(None, THREADS), _step_feed()
    released = family.editor.runners["denoiser"]
    compiled, reason = _time_compiled(feed)
    steps = {
        "torch, eager": _torch_seconds(feed),
        **compiled,
        "released graph": _seconds(lambda: released(**feed)),
    }
    whole = [_whole(setting, "released", family, region)]
    if reason:
        whole.append(Figure("nano, torch.compile: does not run here", 0.0, "", notes=reason))
    switch_ms = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "int8"):
            denoiser, figure = _try_export(setting, family, region, Path(folder), precision)
            whole.append(figure)
            if denoiser:
                steps |= _time_styles(denoiser, f"exported, {precision}", feed)
                switch_ms = switch_ms or _switch_ms(denoiser)
    return [
        *(
            Figure(f"nano, a guided step of 5.12 s, {name}", s, "CPU s")
            for name, s in steps.items()
        ),
        *whole,
        Figure("change of a style", switch_ms, "ms", GOAL_SWITCH_MS, f"worst of {SWITCHES}"),
    ]


def _try_export(
    setting: Setting, family: Any, region: np.ndarray, folder: Path, precision: str
) -> tuple[Any, Figure]:
    """The exported denoiser and the figure of a whole job; no denoiser where parity is refused."""
    from engine.families.nano import exporting
    from engine.runtimes.exported import open_for_parity, runners
    from export import build, manifest, parity

    plan = exporting.plan(folder, region)
    try:
        place = build.build(plan, folder, precision, open_for_parity(THREADS))
    except parity.ParityError as error:
        reason = str(error).partition(";")[0]  # says by how much
        return None, Figure(f"nano in {precision}: refused", 0.0, "", notes=reason)
    graphs = runners(place, manifest.read(place), THREADS)
    exported = exporting._with(family, graphs)
    return graphs["denoiser"], _whole(setting, f"exported, {precision}", exported, region)


def _time_styles(denoiser: Any, name: str, feed: dict[str, np.ndarray]) -> dict[str, float]:
    """CPU seconds of a step without a style and with one of each rank."""
    rows = {name: _seconds(lambda: denoiser(**feed))}
    for rank in RANKS:
        denoiser.set_lora(_lora(denoiser, rank))
        rows[f"{name}, style of rank {rank}"] = _seconds(lambda: denoiser(**feed))
    denoiser.set_lora(None)
    return rows


def _whole(setting: Setting, name: str, family: Any, region: np.ndarray) -> Figure:
    seconds = _seconds(lambda: family.transfer(region, TEXT, KNOBS))
    return Figure(
        f"nano, {setting.sizes.region_seconds:g} s end to end, {name}",
        seconds,
        "CPU s",
        GOAL_SECONDS,
        "default knobs; without reading, fitting and writing the file",
    )


def _seconds(run: Callable[[], Any]) -> float:
    """The least of a few runs after one that warms up."""
    run()
    taken = []
    for _ in range(RUNS):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return min(taken)


def _time_compiled(feed: dict[str, np.ndarray]) -> tuple[dict[str, float], str]:
    """The row of torch.compile, or why there is none: it needs a C++ compiler, for one."""
    import torch

    try:
        return {"torch.compile": _torch_seconds(feed, torch.compile)}, ""
    except RuntimeError as error:  # all of inductor's own errors are
        return {}, str(error).splitlines()[0]


def _torch_seconds(
    feed: dict[str, np.ndarray], prepared: Callable[[Any], Any] = lambda net: net
) -> float:
    """The same net with random weights, which take as long."""
    import torch

    from engine.families.nano.model import Denoiser, NanoConfig

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        net = prepared(Denoiser(NanoConfig()).eval())
        tensors = {name: torch.from_numpy(values) for name, values in feed.items()}
        with torch.inference_mode():
            return _seconds(lambda: net(**tensors))
    finally:
        torch.set_num_threads(before)


def _switch_ms(denoiser: Any) -> float:
    styles = [_lora(denoiser, RANKS[0], seed) for seed in range(2)]
    taken = []
    for index in range(SWITCHES):
        began = time.perf_counter()
        denoiser.set_lora(styles[index % 2])
        taken.append(time.perf_counter() - began)
    return max(taken) * 1e3


def _lora(denoiser: Any, rank: int, seed: int = 0) -> Any:
    from engine.adapters.graphs import pack
    from engine.adapters.lora import Factors, LoraFile

    draw, layers = np.random.default_rng(seed), denoiser.row.lora
    normal = lambda *shape: (draw.standard_normal(shape) * 0.02).astype(np.float32)  # noqa: E731
    factors = {
        each.path: Factors(normal(rank, each.fan_in), normal(each.fan_out, rank), rank)
        for each in layers
    }
    return pack(layers, [(LoraFile(factors), 1.0)])


def _step_feed() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    normal = lambda *shape: draw.standard_normal((BATCH, *shape)).astype(np.float32)  # noqa: E731
    return {
        "latent": normal(FRAMES, 48),
        "time_embedding": normal(256),
        "text": normal(WORDS, 384),
        "text_bias": np.zeros((BATCH, WORDS), np.float32),
        "audio": normal(FRAMES, 384),
        "audio_position": np.tile(np.arange(FRAMES, dtype=np.float32), (BATCH, 1)),
        "audio_scale": np.ones(BATCH, np.float32),
    }


def _region(seconds: float) -> np.ndarray:
    times = np.arange(int(seconds * 32_000)) / 32_000
    return (0.2 * np.sin(2 * np.pi * 220 * times) * np.exp(-(times % 0.5) * 4)).astype(np.float32)
