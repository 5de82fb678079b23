"""Every option, written once: its field here is its name, type, default, unit and help."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osc_protocol import is_loopback
from server.paths import Paths


class ConfigError(ValueError):
    """An option that cannot be used. The text says which, where it is set, and what to do."""


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

    def paths(self) -> Paths:
        """The files of this configuration's data folder."""
        return Paths.under(self.data_dir)


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
        "processor threads for the model; 0: all cores but one, which is left to the DAW, at most "
        "8; of two cores both",
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
        "what computes; local: one worker process; ray: replicas on the machines of a Ray "
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
        "space for takes; when they need more, the oldest are deleted, but never the one in "
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
        "text",
        "form of the log on standard error; json: one object a line",
        choices=("text", "json"),
    )
    log_mb: int = option(
        10,
        "size of the log in the data folder, which has JSON lines from info on; 0: no log",
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
        "give a job up after this long without news of it; a server sends some every two seconds",
        unit="s",
        low=1,
        high=3600,
    )


CONFIGS = (ServeConfig, ClientConfig)


def option_names() -> tuple[str, ...]:
    """The names of all options."""
    return tuple(
        dict.fromkeys(each.name for config in CONFIGS for each in dataclasses.fields(config))
    )
