"""The code keeps its shape: which way imports run, how large folders, files and functions are.

Every import counts, also those inside functions and under TYPE_CHECKING. `python -m tests.imports`
draws the graph of rooms in docs/architecture.md.
"""

import ast
from collections import Counter

import pytest

from tests import imports
from tests.imports import FILES, ROOT, parse

MAX_MODULES, MAX_FILE_LINES, MAX_FUNCTION_LINES = 16, 350, 45
# Lower rooms first. A room imports itself and what stands before it.
PACKAGES = {
    "osc_protocol": set(),
    "presets": set(),
    "export": set(),
    "engine": {"presets", "export"},
    "retimbre_client": {"osc_protocol"},
    "evaluation": {"engine", "presets", "export"},
    "training": {"engine", "presets", "export", "evaluation", "retimbre_client", "server"},
    "server": {"osc_protocol", "presets", "engine", "export", "retimbre_client"},
}


def test_no_module_imports_itself_by_way_of_others():
    assert imports.cycle(imports.modules()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_lies_below_them(package):
    found = {
        (module, other)
        for module, others in imports.modules().items()
        for other in others
        if module.split(".")[0] == package
        and other.split(".")[0] not in PACKAGES[package] | {package}
    }
    assert found == set()


@pytest.mark.parametrize("package", imports.ROOMS)
def test_rooms_import_only_lower_rooms(package):
    order = imports.ROOMS[package]
    wrong = {
        (room, other)
        for room, others in imports.rooms(package).items()
        for other in others
        if order.index(other) > order.index(room)
    }
    assert wrong == set()


def test_no_folder_is_crowded():
    modules = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert {
        str(folder.relative_to(ROOT)): count
        for folder, count in modules.items()
        if count > MAX_MODULES
    } == {}


def test_no_file_is_long():
    lines = {str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n") for path in FILES}
    assert {path: count for path, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_long():
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(parse(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == {}
