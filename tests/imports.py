"""The imports of our modules as a graph, also those inside functions and under TYPE_CHECKING.

python -m tests.imports    writes the graph of rooms into docs/architecture.md
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "clients" / "python"
PAGE = ROOT / "docs" / "architecture.md"
MARKED = re.compile(r"(?<=<!-- import graph -->\n).*?(?=<!-- end of import graph -->)", re.DOTALL)
FOLDERS = "osc_protocol presets export engine evaluation training server benchmarks clients tests"
FILES = sorted(path for folder in FOLDERS.split() for path in ROOT.glob(f"{folder}/**/*.py"))
# What each package may import beside itself.
PACKAGES: Mapping[str, frozenset[str]] = {
    "osc_protocol": frozenset(),
    "presets": frozenset(),
    "export": frozenset(),
    "engine": frozenset({"presets", "export"}),
    "retimbre_client": frozenset({"osc_protocol"}),
    "evaluation": frozenset({"engine", "presets", "export"}),
    "training": frozenset(
        {"evaluation", "engine", "presets", "export", "server", "retimbre_client"}
    ),
    "server": frozenset({"osc_protocol", "presets", "engine", "export", "retimbre_client"}),
}
# The rooms of the larger packages, lower ones first; a module of the package itself is a room.
ROOMS: Mapping[str, tuple[str, ...]] = {
    name: tuple(rooms.split())
    for name, rooms in {
        "server": "errors threads tasks paths child config logs status wire files compute jobs live"
        " services housekeeping verbs http app serving cli __main__",
        "engine": "errors progress cache event_pipe stages knobs audio hearing arranging manifest"
        " adapters runtimes families editing worker_job worker_queue worker",
        "evaluation": "metrics corpus methods listening reporting exams",
        "training": "cli_table templates loop pages dataset judges nano ap_adapter"
        " worked_example adapt experiments",
    }.items()
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
    return {name: set(_imports(path, found)) - {name} for name, path in found.items()}


def _imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from known.keys() & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from known.keys() & {inner if inner in known else node.module}


def packages() -> Graph:
    """Each package -> the packages of ours that its modules import."""
    graph: Graph = {name: set() for name in PACKAGES}
    for module, others in modules().items():
        if (top := module.split(".")[0]) in graph:
            graph[top] |= {other.split(".")[0] for other in others} - {top}
    return graph


def rooms(package: str) -> Graph:
    """Each room of a package -> the other rooms of that package that its modules import."""
    graph: Graph = {}
    for module, others in modules().items():
        top, *inner = module.split(".")
        if top == package and inner:
            found = {other.split(".")[1] for other in others if other.startswith(f"{package}.")}
            graph[inner[0]] = graph.get(inner[0], set()) | found - {inner[0]}
    return graph


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """One way from a module back to itself; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def markdown() -> str:
    """The graph of packages, and of the rooms of the larger ones, as Mermaid."""
    graphs = {"The packages": packages(), **{f"`{name}`": rooms(name) for name in ROOMS}}
    return "\n".join(
        f"{title}:\n\n```mermaid\n{_mermaid(graph)}```\n" for title, graph in graphs.items()
    )


def _mermaid(graph: Graph) -> str:
    """Arrows point to what is imported. An arrow is left out where a longer way says it as well."""
    reached: Graph = {}
    for node in TopologicalSorter(graph).static_order():
        further = set().union(*(reached[other] for other in graph[node]))
        reached[node] = graph[node] | further
    direct = {
        node: others - set().union(*(reached[other] for other in others))
        for node, others in graph.items()
    }
    arrows = sorted((node, other) for node, others in direct.items() for other in others)
    return "graph TD\n" + "".join(f"    {node} --> {other}\n" for node, other in arrows)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARKED.sub(lambda _: markdown(), page), encoding="utf-8")
