"""Where retimbre keeps its files.

Rule: no other module knows a path, and this one reads no environment variable.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

APP_NAME = "retimbre"
REPOSITORY = Path(__file__).resolve().parent.parent
WEIGHTS = REPOSITORY / "engine" / "families" / "nano" / "weights"  # the embedded model
PAGE = REPOSITORY / "server" / "page"  # what browsers are served
MANIFEST = "manifest.json"  # in the folder of each take, written last
DEMO_REGION = REPOSITORY / "server" / "demo_region.flac"


@dataclass(frozen=True)
class Paths:
    """The files of one data folder. One server at a time owns a data folder."""

    data: Path

    @classmethod
    def under(cls, data_dir: str | Path = "") -> Paths:
        """Paths under `data_dir`; if it is empty, under `default_data_dir`."""
        return cls(Path(data_dir).expanduser().resolve() if data_dir else default_data_dir())

    @property
    def journal(self) -> Path:
        """SQLite file: jobs and takes."""
        return self.data / "journal.sqlite3"

    @property
    def spool(self) -> Path:
        """Audio on its way in; always an allowed root."""
        return self.data / "spool"

    @property
    def takes(self) -> Path:
        """One folder per take: stems and manifest."""
        return self.data / "takes"

    @property
    def presets(self) -> Path:
        """The user's own styles, read after the shipped ones."""
        return self.data / "presets"

    def models(self, models_dir: str | Path = "") -> Path:
        """Weights of large models, in `models_dir` or here. The folder need not exist."""
        return Path(models_dir).expanduser().resolve() if models_dir else self.data / "models"

    @property
    def log(self) -> Path:
        """Output of a server that the command line started in the background."""
        return self.data / "server.log"

    @property
    def log_lines(self) -> Path:
        """The log as JSON lines; older files and the last crash are beside it."""
        return self.data / "log" / "server.jsonl"

    @property
    def port_file(self) -> Path:
        """JSON: where the running server listens. There is none when no server runs."""
        return self.data / "server.json"

    def create(self) -> Paths:
        """Make the folders."""
        for folder in (self.data, self.spool, self.takes, self.presets):
            folder.mkdir(parents=True, exist_ok=True)
        return self


def default_data_dir() -> Path:
    """The platform's place for application data, for example ~/.local/share/retimbre."""
    import platformdirs

    return platformdirs.user_data_path(APP_NAME, appauthor=False)


def config_file(data_dir: str | Path = "") -> Path:
    """The option file: in `data_dir` if one is given, else in the platform's place for settings."""
    if data_dir:
        return Path(data_dir).expanduser().resolve() / "config.yaml"
    import platformdirs

    return platformdirs.user_config_path(APP_NAME, appauthor=False) / "config.yaml"


@dataclass(frozen=True)
class ServerAddress:
    """The content of the port file: the server's real addresses and its process."""

    host: str
    port: int
    http_port: int
    pid: int


def write_port_file(path: Path, address: ServerAddress) -> None:
    """Announce a listening server; readers see the old file or the new one, never half of one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(address)), encoding="utf-8")
    os.replace(temporary, path)


def read_port_file(path: Path) -> ServerAddress | None:
    """The announced server, or None. It may have been killed since: ping it first."""
    try:
        return ServerAddress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def remove_port_file(path: Path, pid: int) -> None:
    """Withdraw the announcement, unless another process has made its own since."""
    address = read_port_file(path)
    if address is not None and address.pid == pid:
        path.unlink(missing_ok=True)
