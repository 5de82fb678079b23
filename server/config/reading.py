"""Where an option comes from: a flag beats the environment, which beats the file.

Rule: no other module reads the environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from server import paths
from server.config.flags import Option, flag_of
from server.config.options import CommonConfig, ConfigError, option_names

ENVIRONMENT_PREFIX = "RETIMBRE_"
Config = TypeVar("Config", bound=CommonConfig)

# A found value is (value, where it was found): a bad one is reported with its place.
Found = dict[str, tuple[Any, str]]


def build(
    config: type[Config], flags: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> Config:
    """The frozen configuration from parsed flags, the environment and the option file.

    Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    found = {**_from_file(flags, environ), **_from_environment(environ), **_from_flags(flags)}
    return config(
        **{
            each.name: _convert(each, *found[each.name])
            for each in dataclasses.fields(config)
            if each.name in found
        }
    )


def _from_flags(flags: Mapping[str, Any]) -> Found:
    return {name: (value, flag_of(name)) for name, value in flags.items() if name in option_names()}


def _from_environment(environ: Mapping[str, str]) -> Found:
    return {
        name: (environ[variable], variable)
        for name in option_names()
        if (variable := ENVIRONMENT_PREFIX + name.upper()) in environ
    }


def _from_file(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Found:
    named = flags.get("config") or environ.get(ENVIRONMENT_PREFIX + "CONFIG")
    data_dir = flags.get("data_dir") or environ.get(ENVIRONMENT_PREFIX + "DATA_DIR", "")
    path = Path(named).expanduser() if named else paths.config_file(data_dir)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if named:
            raise ConfigError(f"option file {path} does not exist") from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"option file {path}: {error}") from error
    return _parse_file(text, path)


def _parse_file(text: str, path: Path) -> Found:
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError("expected `option: value` lines")
        pairs = [
            (
                str(key.value),
                _value(loader, value),
                f"{path}:{key.start_mark.line + 1}: {key.value}",
            )
            for key, value in root.value
        ]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date that there is not
        raise ConfigError(f"{path}: {error}") from error
    for key, _, place in pairs:
        if key not in option_names():
            raise ConfigError(f"{place}: no such option; {_nearest(key)}")
    return {key: (value, place) for key, value, place in pairs}


def _value(loader: Any, node: Any) -> Any:
    """One value, or a list of values. Nothing is nested, so no alias can make it grow."""
    import yaml

    for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if not isinstance(part, yaml.ScalarNode):
            raise ConfigError(
                f"line {node.start_mark.line + 1}: expected a value, or a list of values"
            )
    return loader.construct_object(node, deep=True)


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), option_names(), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(option_names())}"


def _convert(each: Option, value: Any, place: str) -> Any:
    """`value` in the option's own type and range.

    Raises ConfigError with the place it was found in.
    """
    if isinstance(each.default, tuple):
        value = value.split(os.pathsep) if isinstance(value, str) else value
        return tuple(
            str(part)
            for part in (value if isinstance(value, (list, tuple)) else [value])
            if str(part)
        )
    kind: Callable[[Any], Any] = type(each.default)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        value = kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{place}: expected {_describe(each)}, got {value!r}") from error
    low, high, choices = (each.metadata[key] for key in ("low", "high", "choices"))
    outside = (low is not None and value < low) or (high is not None and value > high)
    if outside or (choices and value not in choices):
        raise ConfigError(f"{place}: expected {_describe(each)}, got {value!r}")
    return value


def _describe(each: Option) -> str:
    if each.metadata["choices"]:
        return "one of " + ", ".join(each.metadata["choices"])
    kind = {int: "a whole number", float: "a number", str: "text"}[type(each.default)]
    low, high = each.metadata["low"], each.metadata["high"]
    return kind if low is None else f"{kind} from {low} to {high}"
