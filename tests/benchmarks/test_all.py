"""Every benchmark runs, at tiny sizes, against a real server with the real model."""

import json

import pytest

from benchmarks.__main__ import MODULES, main
from engine.nano import family as nano

EXPECTED = {
    "command_line": ["retimbre --help", "retimbre COMMAND --help"],
    "start": ["cold start to ready"],
    "turnaround": ["turnaround of 5 s, warm"],
    "ack": ["ack, worker busy, p50", "ack, worker busy, p99", "ping, worker busy, p50", "ping, worker busy, p99",
            "fsync, worker busy, p50", "fsync, worker busy, p99"],
    "upload": ["upload of 0.384 MB, tcp", "upload of 0.384 MB, udp", "upload of 0.384 MB, udp, relay, 0% lost",
               "upload of 0.384 MB, udp, relay, 5% lost"],
    "memory": ["memory of the server, idle", "memory of the worker, idle"],
}


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_gives_its_figures(name, tmp_path, capsys):
    if nano.missing():
        pytest.skip(nano.missing())
    out, page = tmp_path / "figures.json", tmp_path / "page.md"
    long_seconds = ["--long-seconds=1"] if name in ("upload", "memory") else []
    assert main([name, "--quick", *long_seconds, f"--json={out}", f"--out={page}"]) == 0, capsys.readouterr().err
    rows = json.loads(out.read_text())["figures"]
    assert [row["name"] for row in rows] == EXPECTED[name]
    assert all(row["value"] > 0 for row in rows)
    assert EXPECTED[name][0] in page.read_text() and EXPECTED[name][0] in capsys.readouterr().out
