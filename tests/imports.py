"""The imports of our modules as a graph, also those inside functions and under TYPE_CHECKING.

python -m tests.imports    prints the rooms and their arrows as Mermaid, for docs/architecture.md
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOPS = ("osc_protocol", "presets", "export", "engine", "evaluation", "training", "server")
CLIENT = ROOT / "clients" / "python"
FOLDERS = (*TOPS, "benchmarks", "clients", "tests")
FILES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py"))
# The rooms of each package, lower ones first. A module of the package itself is a room of its name.
ROOMS: Mapping[str, tuple[str, ...]] = {
    "server": (
        *("errors", "threads", "tasks", "paths", "child", "config", "logs", "status"),
        *("wire", "files", "compute", "jobs", "live", "services", "housekeeping"),
        *("verbs", "http", "app", "serving", "cli", "__main__"),
    )
}

Graph = dict[str, set[str]]


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """The module's dotted name."""
    base = CLIENT if path.is_relative_to(CLIENT) else ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> Graph:
    """Each module of the product -> the modules of ours that it imports anywhere."""
    found = {name_of(path): path for path in FILES if "tests" not in path.parts}
    return {name: _imports(name, path, found) - {name} for name, path in found.items()}


def _imports(name: str, path: Path, known: Mapping[str, Path]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in known else str(node.module))
    return names & known.keys()


def rooms(package: str) -> Graph:
    """Each room of a package -> the other rooms of that package that its modules import."""
    graph: Graph = {}
    for module, others in modules().items():
        if (room := _room(module, package)) is not None:
            graph.setdefault(room, set())
            graph[room] |= {r for o in others if (r := _room(o, package)) not in (None, room)}
    return graph


def _room(module: str, package: str) -> str | None:
    top, _, rest = module.partition(".")
    return (rest.partition(".")[0] or None) if top == package else None


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """One way from a module back to itself; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []
