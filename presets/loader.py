"""YAML text becomes a checked preset, or every problem in it with file, line, field and cure.

The text is composed to nodes first, because only nodes know their lines. Anchors and aliases
are refused: a style has no use for them, and nested aliases grow without bound.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from presets.errors import PresetError, Problem
from presets.files import file_sha256, open_regular
from presets.schema import AudioPrompt, Preset, Prompt, TensorFile

MAX_FILE_BYTES = 64 * 1024  # the largest shipped style has about 1 KiB
# YAML's scanner looks through all open brackets for each one: the time grows as their square
MAX_BRACKETS = 256
NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
NUMBER_CHARACTERS = 64

Location = tuple[Any, ...]  # ("prompts", 0, "text")
_MODELS: dict[str, type[BaseModel]] = {
    "prompts": Prompt,
    "adapters": TensorFile,
    "soft_prompt": TensorFile,
    "soft_prompts": TensorFile,
    "audio_prompt": AudioPrompt,
}

# pydantic's error type -> our words, filled with its `ctx`. Other types keep pydantic's own words.
_WORDING = {
    "missing": "this field is missing: add it",
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "string_type": 'expected text (put quotes around it: "...")',
    "int_type": "expected a whole number without quotes",
    "float_type": "expected a number without quotes",
    "finite_number": "expected a finite number",
    "too_short": "expected at least {min_length} entry",
    "too_long": "expected at most {max_length} entries",
    "tuple_type": "expected a list (lines that begin with '- ')",
    "model_type": "expected named fields (indented 'key: value' lines)",
    "string_too_long": "expected at most {max_length} characters",
    "value_error": "{error}",
    "literal_error": "expected one of {expected}",
}
_PATTERNS = {
    "name": "expected small letters, digits, '_', '-' or '.', as in church_organ",
    "model": "expected small letters, digits, '_', '-' or '.', as in nano",
    "path": "expected a .safetensors file (pickles are never loaded)",
    "sha256": "expected 64 small hex digits ('sha256sum FILE' prints them)",
}


def load_preset(path: Path, sha256_of: Callable[[Path], str] | None = None) -> Preset:
    """The preset in a file, tensor paths absolute. Raises PresetError, OSError if unreadable."""
    with open_regular(path) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _error(
            path.name,
            0,
            "",
            f"expected at most {MAX_FILE_BYTES} bytes; keep tensors in .safetensors files",
        )
    preset, lines = _parse(data, path.name)
    problems = [
        *_name_problems(preset, path, lines),
        *_tensor_problems(preset, path, lines, sha256_of or file_sha256),
    ]
    if problems:
        raise PresetError.from_problems(problems)
    return _with_absolute_paths(preset, path.parent)


def parse_preset(text: str | bytes, file: str = "<text>") -> Preset:
    """The preset in YAML text, its tensor files not looked at. Raises PresetError."""
    return _parse(text, file)[0]


def _parse(text: str | bytes, file: str) -> tuple[Preset, dict[Location, int]]:
    data, lines, problems = _read_yaml(text, file)
    if problems:
        raise PresetError.from_problems(problems)
    try:
        return Preset.model_validate(data), lines
    except ValidationError as error:
        found = [_problem(item, file, lines) for item in error.errors(include_url=False)]
        raise PresetError.from_problems(sorted(found, key=lambda problem: problem.line)) from None


def _read_yaml(text: str | bytes, file: str) -> tuple[Any, dict[Location, int], list[Problem]]:
    if _count_brackets(text) > MAX_BRACKETS:
        raise _error(
            file,
            0,
            "",
            f"more than {MAX_BRACKETS} brackets ([ and {{): a style has a few short lists",
        )
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            repeated = _first_repeated_node(node)
            if repeated:
                raise _error(
                    file,
                    _line(repeated),
                    "",
                    "anchors and aliases (& and *) are not used here: write the value out",
                )
            if not isinstance(node, yaml.MappingNode):
                raise _error(file, 1, "", "expected 'field: value' lines, as in the shipped styles")
            lines: dict[Location, int] = {(): 1}
            problems = list(_walk(node, (), lines, file))
            # A number of thousands of digits is found by now: to build it would raise.
            data = None if problems else loader.construct_document(node)
            return data, lines, problems
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise PresetError.from_problems([_yaml_problem(error, file)]) from None
    except RecursionError:
        raise _error(
            file, 0, "", "lists within lists within lists: a style has two levels"
        ) from None
    except (UnicodeDecodeError, ValueError) as error:
        if isinstance(error, PresetError):
            raise
        raise _error(
            file, 0, "", f"not a readable YAML file ({error}): save it as UTF-8 text"
        ) from None


def _count_brackets(text: str | bytes) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _first_repeated_node(root: yaml.Node | None) -> yaml.Node | None:
    """Aliases compose to the same node object twice: walk without following them twice."""
    seen: set[int] = set()
    open_nodes = [root] if root is not None else []
    while open_nodes:
        node = open_nodes.pop()
        if id(node) in seen:
            return node
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            open_nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            open_nodes += node.value
    return None


def _walk(
    node: yaml.Node, where: Location, lines: dict[Location, int], file: str
) -> Iterator[Problem]:
    """Notes the line of every field; yields keys written twice and numbers that are too long."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*where, key.value if isinstance(key, yaml.ScalarNode) else str(key.tag))
            if here in lines:
                yield Problem(
                    file,
                    _line(key),
                    _to_dotted(here),
                    f"written twice (also in line {lines[here]}): keep one",
                )
            lines[here] = _line(key)
            yield from _walk(value, here, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            here = (*where, index)
            lines[here] = _line(item)
            yield from _walk(item, here, lines, file)
    elif node.tag in NUMBER_TAGS and len(node.value) > NUMBER_CHARACTERS:
        message = f"expected a number of at most {NUMBER_CHARACTERS} characters"
        yield Problem(file, _line(node), _to_dotted(where), message)


def _problem(item: Any, file: str, lines: dict[Location, int]) -> Problem:
    where: Location = tuple(item["loc"])
    return Problem(file, _nearest_line(where, lines), _to_dotted(where), _describe(item, where))


def _describe(item: Any, where: Location) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        return _unknown_field(where)
    if kind == "missing":
        return f"{_WORDING[kind]} ({_help(where)})"
    if kind == "string_pattern_mismatch":
        text = _PATTERNS.get(str(where[-1]), "expected one line of text that is not empty")
    else:
        text = _WORDING.get(kind, item["msg"]).format(**item.get("ctx", {}))
    return f"{text}, got {_short(item['input'])} ({_help(where)})"


def _unknown_field(where: Location) -> str:
    fields = list(_owner(where).model_fields)
    near = difflib.get_close_matches(str(where[-1]), fields, n=1)
    return (
        f"unknown field: did you mean {near[0]}?"
        if near
        else f"unknown field: known are {', '.join(fields)}"
    )


def _owner(where: Location) -> type[BaseModel]:
    return _MODELS[where[0]] if len(where) > 1 and where[0] in _MODELS else Preset


def _help(where: Location) -> str:
    names = [part for part in where if isinstance(part, str)]
    field = _owner(where).model_fields.get(names[-1]) if names else None
    return (field.description or "") if field else ""


def _name_problems(preset: Preset, path: Path, lines: dict[Location, int]) -> Iterator[Problem]:
    """The name is the file's stem, so that two files of one folder cannot claim one name."""
    if preset.name != path.stem:
        message = (
            f"expected {path.stem!r} as the file is called, got {preset.name!r}: rename one of them"
        )
        yield Problem(path.name, lines.get(("name",), 0), "name", message)


def _tensors(preset: Preset) -> Iterator[tuple[Location, TensorFile]]:
    for index, adapter in enumerate(preset.adapters):
        yield ("adapters", index), adapter
    if preset.soft_prompt:
        yield ("soft_prompt",), preset.soft_prompt
    for index, learned in enumerate(preset.soft_prompts):
        yield ("soft_prompts", index), learned


def _tensor_problems(
    preset: Preset, path: Path, lines: dict[Location, int], sha256_of: Callable[[Path], str]
) -> Iterator[Problem]:
    for where, tensor in _tensors(preset):
        field, message = _tensor_problem(tensor, path.parent, sha256_of)
        if message:
            here = (*where, field)
            yield Problem(path.name, _nearest_line(here, lines), _to_dotted(here), message)


def _tensor_problem(
    tensor: TensorFile, folder: Path, sha256_of: Callable[[Path], str]
) -> tuple[str, str]:
    """(field, what is wrong); the message is empty when all is well."""
    if not _stays_inside(tensor.path):
        return (
            "path",
            f"expected a path inside the style's folder, got {tensor.path!r}: move the file there",
        )
    target = folder / tensor.path
    if not target.is_file():
        return "path", f"no such file: {target}: put it there or correct the path"
    actual = sha256_of(target)
    if actual != tensor.sha256:
        return (
            "sha256",
            f"expected {tensor.sha256}, the file has {actual}: fetch it again or correct the hash",
        )
    return "", ""


def _stays_inside(path: str) -> bool:
    """The same on every system, so that a style that loads here loads elsewhere, too."""
    windows = PureWindowsPath(path)
    return not (
        windows.drive or windows.root or PurePosixPath(path).is_absolute() or ".." in windows.parts
    )


def _with_absolute_paths(preset: Preset, folder: Path) -> Preset:
    def absolute(tensor: TensorFile) -> TensorFile:
        return tensor.model_copy(update={"path": str((folder / tensor.path).absolute())})

    lists = {
        name: tuple(map(absolute, getattr(preset, name))) for name in ("adapters", "soft_prompts")
    }
    soft_prompt = absolute(preset.soft_prompt) if preset.soft_prompt else None
    return preset.model_copy(update={**lists, "soft_prompt": soft_prompt})


def _yaml_problem(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Problem(
        file,
        mark.line + 1 if mark else 0,
        "",
        f"not valid YAML: {what}: check indentation and quotes there",
    )


def _error(file: str, line: int, field: str, message: str) -> PresetError:
    return PresetError.from_problems([Problem(file, line, field, message)])


def _nearest_line(where: Location, lines: dict[Location, int]) -> int:
    """A missing field has no line of its own: the line of what should hold it, 1 at the top."""
    while where not in lines:
        where = where[:-1]
    return lines[where]


def _to_dotted(where: Location) -> str:
    """("prompts", 0, "text") as prompts[0].text."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(
        "."
    )


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
