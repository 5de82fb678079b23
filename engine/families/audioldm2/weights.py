"""Where the weights lie, and how one gets those that are missing.

Nothing here downloads, and nothing needs torch.

models/audioldm2-large/          a repository of cvssp as it is published (or -music, or audioldm2; or the hub cache)
models/audiomae.safetensors      AudioMAE's encoder, written by `retimbre models convert`
models/ap_adapter.safetensors    the adapter that is used where a preset brings none of its own
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from engine.families.repository import Missing, check_packages, repository

OWNER = "cvssp"
REPOSITORIES = ("audioldm2-large", "audioldm2-music", "audioldm2")  # the best first
AUDIOMAE, ADAPTER = "audiomae.safetensors", "ap_adapter.safetensors"
TIMM_PORT = "gaunernst/vit_base_patch16_1024_128.audiomae_as2m"
ADAPTER_TITLE = "AP-Adapter"
ADAPTER_ID = "1LS3KeczUwfMzk8Cf5oTvkjCkqK3OVnkZ"  # on Google Drive, as the authors' README has it


@dataclass(frozen=True)
class Places:
    """The parts in one models folder. `folder` None: only the hub cache is looked at."""

    folder: Path | None

    def base(self) -> Path | None:
        """The folder of an AudioLDM2 repository, the first of REPOSITORIES that is there."""
        return repository(self.folder, OWNER, REPOSITORIES)

    def audiomae(self) -> Path | None:
        return self._file(AUDIOMAE)

    def adapter(self) -> Path | None:
        return self._file(ADAPTER)

    def missing(self) -> Iterator[Missing]:
        """What has to be fetched before anything can be edited."""
        folder = self.folder or Path("MODELS_DIR")
        if self.base() is None:
            yield Missing(
                "AudioLDM2",
                "about 6 GB",
                "CC-BY-NC-SA-4.0, non-commercial",
                f'hf download {OWNER}/{REPOSITORIES[0]} --local-dir "{folder / REPOSITORIES[0]}"',
            )
        if self.audiomae() is None:
            yield Missing(
                "AudioMAE",
                "343 MB",
                "CC-BY-NC-4.0, non-commercial",
                f"hf download {TIMM_PORT} model.safetensors --local-dir audiomae && "
                f'retimbre models convert audiomae/model.safetensors "{folder / AUDIOMAE}"',
            )
        if self.adapter() is None:
            yield Missing(
                ADAPTER_TITLE,
                "87 MB",
                "derived from CC-BY-NC-SA-4.0, non-commercial",
                f"gdown {ADAPTER_ID} -O ap_adapter.bin && "
                f'retimbre models convert ap_adapter.bin "{folder / ADAPTER}"',
            )

    def trouble(self) -> str:
        """Why the family cannot serve, in words; empty when it can."""
        try:
            self.check()
        except EngineError as error:
            return error.message
        return ""

    def check(self, brings_adapter: bool = False) -> None:
        """EngineError not_ready (packages) or missing_weights; an adapter of the preset's own
        stands in for ours.
        """
        check_packages("audioldm2")
        rows = [row for row in self.missing() if not (brings_adapter and row.what == ADAPTER_TITLE)]
        if rows:
            commands = "; ".join(map(str, rows))
            raise EngineError(
                "missing_weights",
                f"audioldm2 lacks weights, nothing is fetched by itself; {commands}",
            )

    def _file(self, name: str) -> Path | None:
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None
