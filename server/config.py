"""Every option, written once: its field here is its name, type, default, unit and help.

From the fields come the command line flags, the keys of the option file, the environment variables
(RETIMBRE_ and the field's name in capitals) and the frozen objects that the program reads.
Rule: no other module reads the environment. Flag beats environment beats file beats default.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from osc_protocol import is_loopback
from server import paths

ENVIRONMENT_PREFIX = "RETIMBRE_"


class ConfigError(ValueError):
    """An option that cannot be honoured; the text says which, where it stands, and what would do."""


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
    metavar: str = "",
) -> Any:
    """One option. Its type is its default's; a tuple means that it may be given several times."""
    return field(
        default=default,
        metadata={
            "help": help,
            "unit": unit,
            "low": low,
            "high": high,
            "choices": choices,
            "metavar": metavar,
        },
    )


@dataclass(frozen=True)
class CommonConfig:
    """What a server and its clients must agree on."""

    data_dir: str = option(
        "",
        "folder for journal, takes, spool and port file; empty: the platform's own place",
        metavar="DIR",
    )
    host: str = option(
        "127.0.0.1",
        "address to listen on, or to reach the server at; anything but this machine's "
        "own needs --password-file",
        metavar="ADDRESS",
    )
    port: int = option(
        11020,
        "UDP and TCP port; when it is taken the server tries the next ten; 0: any free one",
        low=0,
        high=65535,
    )
    password_file: str = option(
        "",
        "file whose first line is the password that clients from other machines must send",
        metavar="FILE",
    )

    def password(self) -> str:
        """The password, or "" when no file was named.

        Raises ConfigError when the file cannot be read.
        """
        if not self.password_file:
            return ""
        try:
            lines = Path(self.password_file).expanduser().read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"password_file: {error}") from error
        if not lines or not lines[0].strip():
            raise ConfigError(
                f"password_file: expected a password in the first line of {self.password_file}, "
                "which is empty"
            )
        return lines[0].strip()

    def paths(self) -> paths.Paths:
        """The files of this configuration's data folder."""
        return paths.Paths.under(self.data_dir)


@dataclass(frozen=True)
class ServeConfig(CommonConfig):
    """What one server does. Built by the command line and by tests alike."""

    http_port: int = option(
        11022,
        "TCP port of the page, the same verbs as JSON, and OSCQuery; when it is taken the "
        "server tries the next ten; 0: none of these",
        low=0,
        high=65535,
    )
    announce: str = option(
        "auto",
        "let programs find the server by zeroconf (extra [discovery]); auto: when other "
        "machines can reach it; always: also among the programs of its own machine",
        choices=("auto", "always", "never"),
    )
    reply_port: int = option(
        0,
        "send UDP replies to this port of every client that did not register one with "
        "/retimbre/notify; 0: to the port it sent from",
        low=0,
        high=65535,
    )
    root: tuple[str, ...] = option(
        (), "folder whose audio clients may name by path; may be given several times", metavar="DIR"
    )
    presets_dir: tuple[str, ...] = option(
        (),
        "folder with more styles (YAML), read after the shipped ones; may be given several times",
        metavar="DIR",
    )
    models_dir: str = option(
        "",
        "folder with the weights of large models that you have fetched; empty: models in the "
        "data folder",
        metavar="DIR",
    )
    model: str = option(
        "nano",
        "model that is loaded at the start and used when a request names none",
        metavar="NAME",
    )
    threads: int = option(
        0,
        "processor threads for the model; 0: the cores less one for the DAW "
        "(of two both), at most 8",
        low=0,
        high=1024,
    )
    runtime: str = option(
        "auto",
        "what computes the graphs; auto: the fastest that this machine has, found by a short "
        "measurement where two could win",
        choices=("auto", "cuda", "coreml", "openvino", "cpu"),
    )
    executor: str = option(
        "local",
        "who computes; local: one worker process; ray: replicas on the machines of a Ray "
        "cluster (extra [cluster])",
        choices=("local", "ray"),
    )
    ray_address: str = option(
        "",
        "HOST:PORT of the Ray cluster that this machine belongs to; empty: Ray is started on "
        "this machine alone",
        metavar="ADDRESS",
    )
    min_replicas: int = option(
        1,
        "replicas that are always there, with --executor ray; each takes one job at a time "
        "and claims --threads cores (0: one)",
        low=1,
        high=1024,
    )
    max_replicas: int = option(
        1, "replicas that there may be while jobs wait, with --executor ray", low=1, high=1024
    )
    replica_gpus: float = option(
        0.0, "graphics cards, or part of one, that each replica claims", low=0, high=16
    )
    queue_limit: int = option(
        64, "jobs that may wait; more are answered queue_full", unit="jobs", low=1, high=100_000
    )
    keep_gb: int = option(
        100,
        "takes that are kept; when they are more, the oldest are deleted, but never the one in "
        "use; 0: no limit",
        unit="GB",
        low=0,
        high=1_000_000,
    )
    keep_days: int = option(
        0,
        "delete takes that are older, but never the one in use; 0: no limit",
        unit="days",
        low=0,
        high=36500,
    )
    max_file_mb: int = option(
        2048, "largest audio file or upload that is accepted", unit="MB", low=1, high=65536
    )
    log_level: str = option(
        "warning", "what is written to the log", choices=("debug", "info", "warning", "error")
    )
    log_format: str = option(
        "text", "of the log on standard error; json: one object a line", choices=("text", "json")
    )
    log_mb: int = option(
        10,
        "of the log that is kept in the data folder, as JSON lines from info on; 0: none",
        unit="MB",
        low=0,
        high=10_000,
    )

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.password_file:
            raise ConfigError(
                f"host: {self.host} can be reached from other machines, which needs a password; "
                "add --password-file FILE, or listen on 127.0.0.1"
            )


@dataclass(frozen=True)
class ClientConfig(CommonConfig):
    """How a client reaches the server and when it gives up."""

    transport: str = option("udp", "how requests travel", choices=("udp", "tcp"))
    silence_seconds: float = option(
        10.0,
        "give a job up after this long without a word about it; a server says "
        "something every two seconds",
        unit="s",
        low=1,
        high=3600,
    )


CONFIGS = (ServeConfig, ClientConfig)
Parser = argparse._ActionsContainer  # a parser or a group of one: both take arguments
Config = TypeVar("Config", bound=CommonConfig)


def add_arguments(parser: Parser, config: type[CommonConfig], only: Sequence[str] = ()) -> None:
    """Add a flag for each option of `config` (or for those in `only`), and --config."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="option file (YAML): the same names with underscores",
    )
    for each in dataclasses.fields(config):
        if only and each.name not in only:
            continue
        parser.add_argument(
            _flag(each.name),
            dest=each.name,
            default=argparse.SUPPRESS,
            action="append" if isinstance(each.default, tuple) else "store",
            metavar=each.metadata["metavar"] or _metavar(each),
            help=_help(each),
        )


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
            each.name: _checked(each, *found[each.name])
            for each in dataclasses.fields(config)
            if each.name in found
        }
    )


def arguments(config: CommonConfig) -> list[str]:
    """The flags that make `config` again, to hand it to another process."""
    flags = []
    for each in dataclasses.fields(config):
        value = getattr(config, each.name)
        if value != each.default:
            for one in value if isinstance(value, tuple) else (value,):
                flags += [f"{_flag(each.name)}={one}"]
    return flags


def markdown() -> str:
    """The table of all options in the README: python -c "from server import config;
    print(config.markdown())".
    """
    lines = ["| option | default | of | what it does |", "|---|---|---|---|"]
    for name in _names():
        owners = [
            config
            for config in CONFIGS
            if name in {each.name for each in dataclasses.fields(config)}
        ]
        each = next(each for each in dataclasses.fields(owners[0]) if each.name == name)
        of = (
            "both"
            if len(owners) == len(CONFIGS)
            else {ServeConfig: "server", ClientConfig: "client"}[owners[0]]
        )
        shown = "" if each.default in ("", ()) else f"`{each.default}`"
        lines.append(f"| `{_flag(name)}` | {shown} | {of} | {_help(each, default=False)} |")
    return "\n".join(lines)


# A found value is (value, where it was found): a bad one is reported with its place.
Found = dict[str, tuple[Any, str]]


def _from_flags(flags: Mapping[str, Any]) -> Found:
    return {name: (value, _flag(name)) for name, value in flags.items() if name in _names()}


def _from_environment(environ: Mapping[str, str]) -> Found:
    return {
        name: (environ[variable], variable)
        for name in _names()
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
        if key not in _names():
            raise ConfigError(f"{place}: no such option; {_nearest(key)}")
    return {key: (value, place) for key, value, place in pairs}


def _value(loader: Any, node: Any) -> Any:
    """One value, or a list of them: nothing is nested, so nothing can grow by aliases of aliases."""
    import yaml

    for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if not isinstance(part, yaml.ScalarNode):
            raise ConfigError(
                f"line {node.start_mark.line + 1}: expected a value, or a list of values"
            )
    return loader.construct_object(node, deep=True)


def _names() -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(each.name for config in CONFIGS for each in dataclasses.fields(config))
    )


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), _names(), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(_names())}"


def _checked(each: dataclasses.Field, value: Any, place: str) -> Any:
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
    kind = type(each.default)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        value = kind(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{place}: expected {_expected(each)}, got {value!r}") from error
    low, high, choices = (each.metadata[key] for key in ("low", "high", "choices"))
    outside = (low is not None and value < low) or (high is not None and value > high)
    if outside or (choices and value not in choices):
        raise ConfigError(f"{place}: expected {_expected(each)}, got {value!r}")
    return value


def _expected(each: dataclasses.Field) -> str:
    if each.metadata["choices"]:
        return "one of " + ", ".join(each.metadata["choices"])
    kind = {int: "a whole number", float: "a number", str: "text"}[type(each.default)]
    low, high = each.metadata["low"], each.metadata["high"]
    return kind if low is None else f"{kind} from {low} to {high}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _metavar(each: dataclasses.Field) -> str:
    if each.metadata["choices"]:
        return "{" + ",".join(each.metadata["choices"]) + "}"
    return each.metadata["unit"].upper() or {int: "N", float: "X"}.get(type(each.default), "TEXT")


def _help(each: dataclasses.Field, default: bool = True) -> str:
    unit = f" [{each.metadata['unit']}]" if each.metadata["unit"] else ""
    shown = f" (default {each.default})" if default and each.default not in ("", ()) else ""
    return f"{each.metadata['help']}{unit}{shown}".replace("%", "%%")
