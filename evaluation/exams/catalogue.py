"""Which figures has `retimbre eval folder`? One row each; report and documentation derive from it.

The table of docs/evaluation.md is what `python -m evaluation.exams.catalogue` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evaluation.metrics import distributions, embeddings
from evaluation.metrics import similarity as metrics
from evaluation.reporting.page import markdown_table

AP_ADAPTER = "AP-Adapter, 2407.16564"
MUSE = "MuseCPEval, 2512.14629"
PAPER_KLD = "adapters for MusicGen, soft prompts"
PAPER_LORA = "LoRA for music generation"
HEAD = ("figure", "", "unit", "better", "against", "definition", "after (arXiv)", "needs")


class Metric(NamedTuple):
    """One figure; the first line of its function's docstring is its definition."""

    name: str
    title: str
    unit: str
    better: str
    against: str  # text, source or target of one result, or set: all of a method, a reference set
    function: Callable[..., Any]
    source: str
    needs: str = ""  # weights; empty: works offline from the start

    @property
    def definition(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().splitlines()[0]


# fmt: off
CATALOGUE: Sequence[Metric] = (
    Metric("clap", "CLAP similarity", "cosine", "higher", "text",
           embeddings.Clap.similarity, AP_ADAPTER, "CLAP"),
    Metric("chroma", "chroma similarity by frame", "cosine", "higher", "source",
           metrics.chroma_similarity, AP_ADAPTER),
    Metric("mean_chroma", "mean-chroma similarity", "cosine", "higher", "source",
           metrics.mean_chroma_similarity, MUSE),
    Metric("onset_f", "onset F, 50 ms", "share", "higher", "source",
           metrics.onset_f, "mir_eval"),
    Metric("beat_f", "beat F, 70 ms", "share", "higher", "source",
           metrics.beat_f, f"mir_eval; {MUSE}"),
    Metric("tempo_delta", "tempo difference, folded", "BPM", "lower", "source",
           metrics.tempo_delta_bpm, MUSE),
    Metric("key_distance", "key distance", "fifths", "lower", "source",
           metrics.key_distance, MUSE),
    Metric("log_mel", "log-mel distance", "nepers", "lower", "target",
           metrics.log_mel_distance, "AudioLDM2's mel"),
    Metric("spectral", "spectral distance", "nepers²", "lower", "target",
           metrics.spectral_distance, PAPER_LORA),
    Metric("feature", "Audio Feature Distance", "1 - cosine", "lower", "target",
           metrics.feature_distance, PAPER_LORA),
    Metric("fad", "FAD", "distance²", "lower", "set",
           distributions.frechet_distance, "1812.08466"),
    Metric("fad_infinity", "FAD∞", "distance²", "lower", "set",
           distributions.frechet_infinity, "1911.07023"),
    *(
        Metric(f"kld_{family}", f"KLD, {title}", "nats", "lower", "set",
               distributions.feature_divergences, PAPER_KLD)
        for family, title in (
            ("mfcc", "MFCC"), ("chroma", "chroma"), ("spectral", "spectral"),
            ("zero_crossing", "zero crossings"),
        )
    ),
)
# fmt: on
NAMES = tuple(metric.name for metric in CATALOGUE)


def markdown() -> str:
    """The table for the documentation."""
    rows = [
        (
            f"`{metric.name}`",
            metric.title,
            metric.unit,
            metric.better,
            metric.against,
            metric.definition.replace("|", "\\|"),
            metric.source,
            metric.needs or "nothing",
        )
        for metric in CATALOGUE
    ]
    return markdown_table(HEAD, rows)


if __name__ == "__main__":
    print(markdown())
