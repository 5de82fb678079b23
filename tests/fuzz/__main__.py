"""Search for inputs that break what strangers' bytes reach.

python -m tests.fuzz datagram --seconds 120, or --all.

Each target runs in a process of its own under atheris (libFuzzer: it keeps inputs that reach new
branches, and changes them further). The table at the end: executions, covered branches, inputs
kept, crashes. What breaks lies in the folder that is named, to be copied to
corpus/TARGET/crash-WHAT when it is mended.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS

MEMORY_MB = 2048
INPUT_SECONDS = 60  # longer is a hang; by the wall's clock, so beside other work it must be long
FIGURES = re.compile(r"cov: (\d+) ft: \d+ corp: (\d+)")
# the second until it broke
EXECUTIONS = re.compile(r"number_of_executed_units: (\d+)|^#(\d+)", re.MULTILINE)
CHILD = "--child"


def run_child(name: str, arguments: list[str]) -> None:
    """One target until its time is up; libFuzzer ends the process."""
    import atheris

    target = TARGETS[name]
    with atheris.instrument_imports(include=list(target.packages)):
        for seed in target.seeds(name)[:1]:
            target.run(seed.read_bytes())  # imports what it needs
    crashes = next(
        Path(each.partition("=")[2]) for each in arguments if each.startswith("-artifact_prefix=")
    )
    atheris.Setup([sys.argv[0], *arguments], keep_failures(target.run, crashes))
    atheris.Fuzz()


def keep_failures(run: Callable[[bytes], None], folder: Path) -> Callable[[bytes], None]:
    """`run`, which writes what breaks it to `folder`.

    libFuzzer itself keeps only what hangs or kills the process.
    """

    def run_and_keep(data: bytes) -> None:
        try:
            run(data)
        except BaseException:
            (folder / f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
            raise

    return run_and_keep


def fuzz(name: str, seconds: int, found: Path) -> tuple[int, int, int, int]:
    """Executions, covered branches, inputs kept and crashes; the inputs go to `found`."""
    kept, crashes = found / name / "kept", found / name / "crashes"
    kept.mkdir(parents=True)
    crashes.mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        CHILD,
        name,
        str(kept),
        str(CORPUS / name),
        f"-max_total_time={seconds}",
        f"-max_len={TARGETS[name].longest_bytes}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={crashes}/",
        "-print_final_stats=1",
    ]
    log = found / name / "log.txt"
    with open(log, "wb") as out:
        subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    text = log.read_text(errors="replace")
    branches, inputs = (FIGURES.findall(text) or [("0", "0")])[-1]
    executions = max(
        (int(count) for pair in EXECUTIONS.findall(text) for count in pair if count), default=0
    )
    return executions, int(branches), int(inputs), len(list(crashes.iterdir()))


def main() -> int:
    if sys.argv[1:2] == [CHILD]:
        run_child(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.splitlines()[0]
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--all", action="store_true", help="all of them, one after another")
    parser.add_argument("--seconds", type=int, default=120, help="for each (default 120)")
    asked = parser.parse_args()
    names = list(TARGETS) if asked.all else asked.targets
    if not names or set(names) - set(TARGETS):
        parser.error(f"name some of {', '.join(TARGETS)}, or --all")
    found = Path(tempfile.mkdtemp(prefix="retimbre-fuzz-"))
    print(f"what was found: {found}")
    print(
        "| target | seconds | executions | branches | inputs kept | crashes |\n"
        "|---|---|---|---|---|---|"
    )
    crashes = 0
    for name in names:
        executions, branches, kept, broken = fuzz(name, asked.seconds, found)
        crashes += broken
        print(
            f"| {name} | {asked.seconds} | {executions:,} | {branches} | {kept} | {broken} |",
            flush=True,
        )
    return int(crashes > 0)


if __name__ == "__main__":
    sys.exit(main())
