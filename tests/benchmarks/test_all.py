"""Every benchmark runs, at tiny sizes, against a real server with the real model."""

import json
import sys

import pytest

from benchmarks.__main__ import LONG, MODULES, main
from engine.families.nano import family as nano

EXPECTED = {
    "command_line": ["retimbre --help", "retimbre COMMAND --help"],
    "start": ["cold start to ready"],
    "turnaround": [
        "turnaround of 5 s, warm",
        "turnaround of 1 s, warm",
        "turnaround of 5 s, a bass line added",
        "turnaround of 5 s, another genre, four stems",
    ],
    "ack": [
        "ack, worker busy, p50",
        "ack, worker busy, p99",
        "ping, worker busy, p50",
        "ping, worker busy, p99",
        "fsync, worker busy, p50",
        "fsync, worker busy, p99",
    ],
    "upload": [
        "upload of 0.384 MB, tcp",
        "upload of 0.384 MB, udp",
        "upload of 0.384 MB, udp, relay, 0% lost",
        "upload of 0.384 MB, udp, relay, 5% lost",
    ],
    "memory": ["memory of the server, idle", "memory of the worker, idle"],
    "load": [
        "idle server",
        "idle worker",
        "ack of the greedy client, one after the other, p99",
        "ack in a burst of 3 clients, p50",
        "ack in a burst of 3 clients, p99",
        "ack, one at a time, p50",
        "ack, one at a time, p99",
        "turns of the greedy client until each had one",
        "longest silence about a job that waits",
        "memory of the server under load",
        "memory of the worker under load",
        "ctrl-C to the end of the process",
        "jobs lost by the stop",
        "jobs without exactly one end",
    ],
    "soak": [
        "jobs done",
        "jobs without exactly one end",
        "uploads that failed",
        "growth of memory of the server",
        "growth of handles of the server",
        "growth of threads of the server",
        "growth of memory of the worker",
        "growth of handles of the worker",
        "growth of threads of the worker",
        "server's share of a core",
        "ack, first tenth, p99",
        "ack, last tenth, p50",
        "ack, last tenth, p99",
    ],
}
NONE_IS_GOOD = ("idle", "turns", "jobs lost", "jobs without", "uploads that failed", "growth")


@pytest.mark.parametrize("name", [*MODULES, *LONG])
def test_a_benchmark_gives_its_figures(name, tmp_path, capsys):
    if nano.missing():
        pytest.skip(nano.missing())
    if name in LONG and sys.platform != "linux":
        pytest.skip("reads /proc")
    out, page = tmp_path / "figures.json", tmp_path / "page.md"
    long_seconds = ["--long-seconds=1"] if name in ("turnaround", "upload", "memory") else []
    assert main([name, "--quick", *long_seconds, f"--json={out}", f"--out={page}"]) == 0, (
        capsys.readouterr().err
    )
    rows = json.loads(out.read_text())["figures"]
    assert [row["name"] for row in rows] == EXPECTED[name]
    assert all(row["value"] > 0 for row in rows if not row["name"].startswith(NONE_IS_GOOD))
    assert all(row["value"] == 0 for row in rows if row["goal"] == 0)
    assert EXPECTED[name][0] in page.read_text() and EXPECTED[name][0] in capsys.readouterr().out
