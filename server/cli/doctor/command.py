"""Print what works on this machine and what does not; exit code 1 when the main job cannot run."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from server import config
from server.cli.doctor import bundle, checks
from server.cli.doctor.checks import BAD, NOTE, OK, Finding
from server.cli.errors import EXIT_FAILED, EXIT_OK
from server.config import ServeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The server's options: where it would listen, where its data would lie."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write what a bug report needs into a zip: versions, options, findings, status, "
        "metrics, log; no audio, no password, no words of prompts",
    )
    parser.add_argument(
        "--with-texts",
        action="store_true",
        help="with --bundle: also the words, names and addresses that are in the log",
    )
    config.add_arguments(parser, ServeConfig)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding. Returns 1 when one of them stops the main job."""
    options = config.build(ServeConfig, vars(arguments))
    if arguments.bundle:
        return _bundle(arguments.bundle, options, arguments.with_texts)
    findings = list(checks.examine(options))
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print("\n".join(_line(finding) for finding in findings))
        print(_verdict(findings))
    return EXIT_FAILED if any(finding.state == BAD for finding in findings) else EXIT_OK


def _bundle(path: Path, options: ServeConfig, with_texts: bool) -> int:
    names = bundle.write(path, options, with_texts)
    print(f"{path}: {', '.join(names)}")
    print("Look through it before you send it; about.txt says what is what.")
    return EXIT_OK


def _line(finding: Finding) -> str:
    mark = {OK: "  ok ", NOTE: " note", BAD: " BAD "}[finding.state]
    cure = f"\n{'':20}cure: {finding.cure}" if finding.cure else ""
    return f"{mark}  {finding.subject:<12} {finding.text}{cure}"


def _verdict(findings: list[Finding]) -> str:
    bad = [finding.subject for finding in findings if finding.state == BAD]
    return f"The main job cannot run: see {', '.join(bad)}." if bad else "The main job can run."
