"""What are the figures of finished results, of each and of each method?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.corpus.results import FileRegion, Result, find_sounds, read_sound
from evaluation.exams.catalogue import CATALOGUE, Metric
from evaluation.metrics import embeddings
from evaluation.metrics.distributions import (
    Features,
    feature_divergences,
    frechet_distance,
    frechet_infinity,
)
from evaluation.metrics.means import mean_and_error

Track = Callable[[Sequence[Any], str], Iterable[Any]]
NO_CLAP = "no CLAP given: hf download laion/larger_clap_music, then --clap laion/larger_clap_music"


@dataclass
class FeatureSet:
    """Features and embeddings of many sounds, for the figures about sets; no samples are kept."""

    features: list[Features] = field(default_factory=list)
    windows: list[np.ndarray] = field(default_factory=list)  # [n, D] each

    def add(self, region: FileRegion, embedding: embeddings.Embedding | None) -> None:
        sound = read_sound(region)
        self.features.append(sound.features)
        if embedding:
            self.windows.append(embedding.windows(sound))

    @property
    def rows(self) -> np.ndarray:
        return np.concatenate(self.windows)


@dataclass(frozen=True)
class _Embeddings:
    """What could be loaded; `blank` says why the rest could not (figure -> reason)."""

    clap: embeddings.Clap | None
    fad: embeddings.Embedding | None
    blank: Mapping[str, str]


def judge(
    results: Sequence[Result],
    *,
    only: Sequence[str] = (),
    clap: str | None = None,
    embedding: str | None = None,
    reference: Path | None = None,
    device: str = "cpu",
    track: Track = lambda items, title: items,
) -> dict[str, Any]:
    """Every figure of every result and method. ResultsError.

    `embedding`: mel, clap, or a folder; none: clap where `clap` is given, else mel. The reference
    set of FAD and KLD is the folder `reference`; without one it is the targets if all results have
    one, else the sources.
    """
    wanted = [metric for metric in CATALOGUE if not only or metric.name in only]
    loaded = _load(wanted, clap, embedding, device)
    needs_sets = any(metric.against == "set" for metric in wanted)
    outputs: dict[str, FeatureSet] = {}
    rows = []
    for result in track(results, "results"):
        rows.append({**result.to_dict(), "figures": _figures(result, wanted, loaded)})
        if needs_sets:
            outputs.setdefault(result.method, FeatureSet()).add(result.output, loaded.fad)
    methods: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(result.method for result in results):
        own = [row["figures"] for row in rows if row["method"] == name]
        single = [metric.name for metric in wanted if metric.against != "set"]
        figures = {metric: _mean([one[metric] for one in own]) for metric in single}
        methods[name] = {"results": len(own), "figures": figures}
    report = {
        "schema": 1,
        "methods": methods,
        "blank": _blank(results, wanted, loaded),
        "results": rows,
    }
    if needs_sets:
        report["reference"] = _judge_sets(
            outputs, _find_reference(results, reference), wanted, loaded.fad, methods, track
        )
    return report


def _mean(values: Sequence[float]) -> dict[str, float]:
    found = mean_and_error(values)
    return {"value": found["mean"], "error": found["error"], "n": int(np.isfinite(values).sum())}


def _figures(result: Result, wanted: Sequence[Metric], loaded: _Embeddings) -> dict[str, float]:
    """Figures of one result; nan where there is nothing to compare with."""
    output, found = read_sound(result.output), {}
    for metric in wanted:
        value = float("nan")
        if metric.against == "set":
            continue
        if metric.against != "text":
            if region := getattr(result, metric.against):
                value = metric.function(output, read_sound(region))
        elif loaded.clap is not None and result.text:
            value = metric.function(loaded.clap, output, result.text)
        found[metric.name] = value
    return found


def _judge_sets(
    outputs: Mapping[str, FeatureSet],
    reference: tuple[str, list[FileRegion]],
    wanted: Sequence[Metric],
    embedding: embeddings.Embedding | None,
    methods: Mapping[str, dict[str, Any]],
    track: Track,
) -> dict[str, Any]:
    """Adds the set figures to each method; returns what they were compared with."""
    title, regions = reference
    references, names = FeatureSet(), {metric.name for metric in wanted}
    for region in track(regions, "reference"):
        references.add(region, embedding)
    for method, own in outputs.items() if regions else ():
        found = _set_figures(own, references, embedding is not None)
        methods[method]["figures"].update(
            {name: figure for name, figure in found.items() if name in names}
        )
    return {
        "set": title,
        "sounds": len(regions),
        "windows": len(references.rows) if references.windows else 0,
        "embedding": embedding.name if embedding else None,
    }


def _set_figures(
    outputs: FeatureSet, reference: FeatureSet, has_embedding: bool
) -> dict[str, dict[str, float]]:
    """KLD of each family and, where there are enough windows, FAD."""
    count = len(outputs.features)
    divergences = feature_divergences(outputs.features, reference.features)
    found = {f"kld_{family}": {"value": value, "n": count} for family, value in divergences.items()}
    if has_embedding and min(len(outputs.rows), len(reference.rows)) > 1:
        windows = len(outputs.rows)
        limit = frechet_infinity(outputs.rows, reference.rows)
        distance = frechet_distance(outputs.rows, reference.rows)
        found["fad"] = {"value": distance, "n": windows}
        found["fad_infinity"] = {"value": limit.value, "fit": limit.fit, "n": windows}
    return found


def _find_reference(results: Sequence[Result], folder: Path | None) -> tuple[str, list[FileRegion]]:
    if folder:
        return str(folder), find_sounds(folder)
    role = "target" if all(result.target for result in results) else "source"
    regions = (getattr(result, role) for result in results)
    return f"the {role}s", list(dict.fromkeys(region for region in regions if region))


def _load(
    wanted: Sequence[Metric], clap: str | None, embedding: str | None, device: str
) -> _Embeddings:
    names = {metric.name for metric in wanted}
    blank: dict[str, str] = {}

    def load(figures: set[str], name: str) -> embeddings.Embedding | None:
        try:
            return embeddings.load(name, device)
        except embeddings.MissingWeights as error:
            blank.update(dict.fromkeys(figures, str(error)))
            return None

    model = None
    if "clap" in names and clap:
        loaded = load({"clap"}, clap)
        if isinstance(loaded, embeddings.Clap):
            model = loaded
        elif loaded:
            blank["clap"] = f"{clap} is no CLAP model"
    elif "clap" in names:
        blank["clap"] = NO_CLAP
    fad = None
    if figures := names & {"fad", "fad_infinity"}:
        name = embedding or ("clap" if clap else "mel")
        if name == "clap" and not clap:
            blank.update(dict.fromkeys(figures, "--embedding clap needs --clap"))
        else:
            fad = load(figures, clap if clap and name == "clap" else name)
    return _Embeddings(model, fad, blank)


def _blank(
    results: Sequence[Result], wanted: Sequence[Metric], loaded: _Embeddings
) -> dict[str, str]:
    """Figure -> why no result has it."""
    blank = dict(loaded.blank)
    for metric in wanted:
        if metric.against != "set" and not any(getattr(one, metric.against) for one in results):
            blank.setdefault(metric.name, f"no row has a {metric.against}")
    return blank
