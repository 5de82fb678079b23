"""The code keeps its shape: which way imports run, how large folders, files and functions are."""

import ast
from collections import Counter

import pytest

from tests import imports
from tests.imports import FILES, PACKAGES, ROOMS, ROOT, parse

MAX_MODULES, MAX_FILE_LINES, MAX_FUNCTION_LINES = 16, 350, 45


def test_no_module_imports_itself_by_way_of_others():
    assert imports.cycle(imports.modules()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_lies_below_them(package):
    assert imports.packages()[package] <= PACKAGES[package]


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_place(package):
    assert set(imports.rooms(package)) == set(ROOMS[package]), "say where it belongs: tests.imports"


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_lower_rooms(package):
    height = {room: index for index, room in enumerate(ROOMS[package])}
    upward = [
        f"{room} imports {other}"
        for room, others in imports.rooms(package).items()
        for other in others
        if height[other] > height[room]
    ]
    assert upward == []


def test_the_drawn_graph_is_the_codes_own():
    page = imports.PAGE.read_text(encoding="utf-8")
    assert imports.markdown() in page, "run: python -m tests.imports"


def test_no_folder_is_crowded():
    modules = Counter(path.parent for path in FILES if path.name != "__init__.py")
    crowded = {folder: count for folder, count in modules.items() if count > MAX_MODULES}
    assert crowded == {}


def test_no_file_is_long():
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {path: count for path, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_long():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(parse(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []
