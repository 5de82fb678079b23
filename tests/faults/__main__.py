"""The long form: `python -m tests.faults --minutes 30 --seed 1`, from the repository's root.

Storms of kill -9, bad networks and every scenario of the table, again and again with other seeds
until the time is out; then a table of what was done. A broken rule is shown with its seed, and the
exit code is then 1. `--table` only prints the table of faults for docs/faults.md.
"""

import argparse
import asyncio
import logging
import os
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from _pytest.outcomes import Skipped

from server.app import Server
from server.config import ServeConfig
from tests.faults import kills, network
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Stage
from tests.faults.table import table
from tests.server.clients import executor, write_wav

STORM_JOBS, STORM_KILLS = 40, 20
NETWORK_JOBS, NETWORK_UPLOADS, GUESTS = 12, 2, 200


@dataclass
class Tally:
    """What a run has done so far."""

    storms: kills.Figures = field(default_factory=kills.Figures)
    scenarios: Counter = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    networks: dict[str, Counter] = field(default_factory=dict)
    guests: list[dict[str, int]] = field(default_factory=list)
    files: list[int] = field(default_factory=list)  # open in this process after each round
    broken: list[str] = field(default_factory=list)

    def broke(self, what, error):
        """A rule that does not hold."""
        self.broken.append(what)
        print(f"BROKEN: {what}", flush=True)
        traceback.print_exception(type(error), error, error.__traceback__)

    def __str__(self):
        storms = self.storms
        lines = [
            "",
            "| what | how often |",
            "|---|---|",
            f"| kill -9 of the server | {storms.server_kills} |",
            f"| kill -9 of the worker | {storms.worker_kills} |",
            f"| jobs in these storms | {storms.jobs} ({_ends(storms.ends)}) |",
            f"| scenarios of the table | {sum(self.scenarios.values())} "
            f"({len(self.scenarios)} different) |",
        ]
        for name, count in self.networks.items():
            lines.append(
                f"| network: {name} | {count['jobs']} jobs, {count['uploads']} uploads, "
                f"{count['lost']} of {count['datagrams']} datagrams lost, each end heard "
                f"{count['repeats'] / max(1, count['jobs']):.1f} times |"
            )
        if self.guests:
            lines += [
                f"| remembered {when} {GUESTS} clients that vanished | {_counts(counts)} |"
                for when, counts in zip(("before", "amid", "after"), self.guests, strict=True)
            ]
        lines.append(
            f"| open files of the harness after each round | {self.files[0]} to {self.files[-1]} |"
        )
        lines.append(f"| rules broken | {len(self.broken)} {'; '.join(self.broken)} |")
        lines += [f"| skipped: {name} | {why} |" for name, why in self.skipped.items()]
        return "\n".join(lines)


def _ends(ends):
    return ", ".join(f"{count} {code or 'done'}" for code, count in ends.most_common())


def _counts(counts):
    return ", ".join(f"{count} {name}" for name, count in counts.items())


async def storm(folder, seed, tally):
    """One server's hard life."""
    tally.storms += await kills.Storm(folder, seed, STORM_JOBS, STORM_KILLS).run()


async def networks(folder, seed, tally):
    """Each weather once, on one server; then the guests."""
    write_wav(folder / "region.wav")
    config = ServeConfig(data_dir=str(folder / "data"), port=0, http_port=0, root=(str(folder),))
    async with Server(config, executor()) as server:
        for name, weather in network.WEATHERS.items():
            figures = await network.exchange(
                server, folder, weather, seed, NETWORK_JOBS, NETWORK_UPLOADS
            )
            count = tally.networks.setdefault(name, Counter())
            count.update(
                {
                    key: getattr(figures, key)
                    for key in ("jobs", "uploads", "lost", "datagrams", "repeats")
                }
            )
        await network.come_back(server, folder)
        tally.guests = list(await network.vanish(server, folder, GUESTS))


async def scenarios(folder, seed, tally):
    """Each row of the table once."""
    for number, row in enumerate(SCENARIOS):
        place = folder / str(number)
        place.mkdir()
        try:
            async with Stage.open(place) as stage:
                code, text = await row.play(stage)
        except Skipped as skipped:
            tally.skipped[row.name] = str(skipped)
            continue
        except Exception as error:
            tally.broke(f"{row.name}, seed {seed}", error)
            continue
        if code == row.code and row.cure in text:
            tally.scenarios[row.name] += 1
        else:
            tally.broke(f"{row.name}, seed {seed}", AssertionError(f"told {code}: {text}"))


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print the table of faults and end")
    options = parser.parse_args()
    if options.table:
        print(table(SCENARIOS))
        return 0
    logging.disable(logging.WARNING)  # the servers have much to say here
    tally, began, seed = Tally(), time.monotonic(), options.seed
    while time.monotonic() - began < 60 * options.minutes:
        for act in (storm, storm, networks, scenarios):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    asyncio.run(act(Path(folder), seed, tally))
                except Exception as error:
                    tally.broke(f"{act.__name__}, seed {seed}", error)
            print(f"{(time.monotonic() - began) / 60:5.1f} min  {act.__name__} {seed}", flush=True)
            seed += 1
        if os.path.isdir("/proc/self/fd"):
            tally.files.append(len(os.listdir("/proc/self/fd")))
    print(
        tally,
        f"\n{(time.monotonic() - began) / 60:.1f} minutes, seeds {options.seed} to {seed - 1}",
    )
    return int(bool(tally.broken))


if __name__ == "__main__":
    raise SystemExit(main())
