"""Does a style load while a server runs? A server is started, then given the presets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.families.nano.features import SAMPLE_RATE_HZ
from training.worked_example.scenario import PHRASE
from training.worked_example.served import STEM_SEED

START_SECONDS, STOP_SECONDS = 120.0, 30.0


def measure_live(out: Path, presets: Path, names: list[str]) -> dict[str, Any]:
    """Seconds of each job from its manifest, in the order of the jobs."""
    import soundfile
    from retimbre_client import Client

    data, own = out / "live", out / "live" / "own_presets"
    shutil.rmtree(data, ignore_errors=True)
    own.mkdir(parents=True)
    source, _ = soundfile.read(out / "sounds" / "source.flac")
    soundfile.write(data / "region.wav", source, SAMPLE_RATE_HZ)
    region, jobs = str((data / "region.wav").resolve()), []
    with _serve(data, own, out / "models") as port, Client(port=port) as client:

        def edit(label: str, **keys: Any) -> None:
            done = client.submit(region, PHRASE, seed=STEM_SEED, **keys).wait()
            assert done.manifest is not None
            manifest = json.loads(Path(done.manifest).read_text(encoding="utf-8"))
            jobs.append({"label": label, "notes": manifest["notes"], **manifest["timings_seconds"]})

        edit("loading")
        edit("base")
        began = time.perf_counter()
        for name in names:
            shutil.copytree(presets / name, own / name)
        count = client.reload_presets()
        reload_ms = 1000 * (time.perf_counter() - began)
        for label in (*names, *names):
            edit(label, preset=label)
        client.blend(dict.fromkeys(names, 0.5))
        edit("blend")
        edit("harp", preset="harp")
    return {"jobs": jobs, "reload_ms": reload_ms, "presets": count}


@contextmanager
def _serve(data: Path, presets: Path, models: Path) -> Iterator[int]:
    """The port of a server of our own."""
    from server.paths import Paths, read_port_file

    options = {
        "--data-dir": data,
        "--port": 0,
        "--http-port": 0,
        "--announce": "never",
        "--presets-dir": presets,
        "--models-dir": models.resolve(),
        "--root": data.resolve(),
        "--threads": 1,
    }
    flags = [str(part) for option in options.items() for part in option]
    command = [sys.executable, "-m", "server", "serve", *flags]
    with open(data / "server.log", "w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            ends_at = time.monotonic() + START_SECONDS
            while not (address := read_port_file(Paths.under(data).port_file)):
                if process.poll() is not None or time.monotonic() > ends_at:
                    raise RuntimeError(f"the server did not start; {data / 'server.log'} says why")
                time.sleep(0.05)
            yield address.port
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
