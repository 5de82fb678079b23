"""Which parts of AudioLDM2 and its adapter are on this machine?

models/audioldm2-large/         a repository of cvssp as published (or audioldm2-music, audioldm2)
models/audiomae.safetensors     AudioMAE's encoder, written by `retimbre models convert`
models/ap_adapter.safetensors   the adapter for presets that bring none of their own
"""

from __future__ import annotations

from pathlib import Path

from engine.families.shared.weights import Download, FamilyWeights, check_packages, missing_error

OWNER = "cvssp"
AUDIOMAE, ADAPTER = "audiomae.safetensors", "ap_adapter.safetensors"
TIMM_PORT = "gaunernst/vit_base_patch16_1024_128.audiomae_as2m"
ADAPTER_ID = "1LS3KeczUwfMzk8Cf5oTvkjCkqK3OVnkZ"  # on Google Drive, as the authors' README has it

FILES = {
    AUDIOMAE: Download(
        "AudioMAE",
        "343 MB",
        "CC-BY-NC-4.0, non-commercial",
        f"hf download {TIMM_PORT} model.safetensors --local-dir audiomae && "
        f'retimbre models convert audiomae/model.safetensors "{{folder}}/{AUDIOMAE}"',
    ),
    ADAPTER: Download(
        "AP-Adapter",
        "87 MB",
        "derived from CC-BY-NC-SA-4.0, non-commercial",
        f"gdown {ADAPTER_ID} -O ap_adapter.bin && "
        f'retimbre models convert ap_adapter.bin "{{folder}}/{ADAPTER}"',
    ),
}


class AudioLdm2Weights(FamilyWeights):
    """AudioLDM2, AudioMAE and the adapter in the models folder."""

    family, owner = "audioldm2", OWNER
    repositories = ("audioldm2-large", "audioldm2-music", "audioldm2")
    download = Download(
        "AudioLDM2",
        "about 6 GB",
        "CC-BY-NC-SA-4.0, non-commercial",
        f'hf download {OWNER}/{repositories[0]} --local-dir "{{folder}}/{repositories[0]}"',
    )

    def audiomae(self) -> Path:
        """AudioMAE's encoder. EngineError missing_weights."""
        return self._need(AUDIOMAE)

    def adapter(self) -> Path:
        """The adapter for presets without one. EngineError missing_weights."""
        return self._need(ADAPTER)

    def find(self, name: str) -> Path | None:
        """A file of the models folder, if it is there."""
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None

    def missing(self, brings_adapter: bool = False) -> list[str]:
        """A line for each missing file; `brings_adapter`: the preset has its own adapter."""
        names = [AUDIOMAE] if brings_adapter else [AUDIOMAE, ADAPTER]
        absent = [FILES[name].describe(self.folder) for name in names if not self.find(name)]
        return super().missing() + absent

    def check(self, brings_adapter: bool = False) -> None:
        """EngineError not_ready (packages) or missing_weights."""
        check_packages(self.family, self.packages)
        if lines := self.missing(brings_adapter):
            raise missing_error(self.family, lines)

    def _need(self, name: str) -> Path:
        if found := self.find(name):
            return found
        raise missing_error(self.family, [FILES[name].describe(self.folder)])
