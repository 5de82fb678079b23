"""How does a family become a folder of graphs?

Every stage is written, cut and checked against its model, then the whole pipeline is. An export
that fails or is stopped leaves nothing behind.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from export import manifest as manifests
from export import parity
from export.graphs import write_stage
from export.manifest import ExportManifest, StageRow
from export.parity import STAGE_BOUND, STEM_BOUND, Feed, Recorder, Row, Runner
from export.plan import OpenStage, Plan, StageExport

log = logging.getLogger(__name__)

PRECISIONS = tuple(STAGE_BOUND)
RECIPES = {"int8": "2: convolutions too"}  # part of the key, so that a new recipe exports anew
CHECKED = 0.9  # of the work when all stages are done; the pipeline is the rest

Progress = Callable[[str, float], None]  # what is checked, fraction of the work done


def folder_of(plan: Plan, models: Path, precision: str) -> Path:
    """Where an export of these weights by these versions lies."""
    recipes = filter(None, (RECIPES.get(precision), plan.recipe))
    key = manifests.key(plan.hashes, plan.versions, manifests.SCHEMA, *recipes)
    return models / manifests.FOLDER / f"{plan.family}-{precision}-{key}"


def build(
    plan: Plan,
    models: Path,
    precision: str,
    open_stage: OpenStage,
    progress: Progress = lambda stage, fraction: None,
) -> Path:
    """The folder of the export, made or found. Raises parity.ParityError, ValueError, OSError."""
    target = folder_of(plan, models, precision)
    if (target / manifests.FILE_NAME).is_file():
        return target
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        manifests.write(temporary, _Build(plan, temporary, precision, open_stage).run(progress))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


class _Build:
    """One export on its way: the stages that are written, and every comparison so far."""

    def __init__(self, plan: Plan, folder: Path, precision: str, open_stage: OpenStage) -> None:
        self._plan, self._folder, self._precision = plan, folder, precision
        self._open = open_stage
        self._stages: list[StageRow] = []
        self._rows: list[Row] = []
        self._runners: dict[str, Runner] = {}

    def run(self, progress: Progress) -> ExportManifest:
        """Raises ParityError at the first stage that differs from its model."""
        real = {part.stage.name: Recorder(part.model) for part in self._plan.stages}
        progress("listening", 0.0)
        expected = self._plan.pipeline(real)
        for index, part in enumerate(self._plan.stages):
            name = part.stage.name
            progress(name, CHECKED * index / len(self._plan.stages))
            self._add(part, {"random": part.feeds, "real": real[name].feeds})
        progress("whole stem", CHECKED)
        error = parity.relative_error(self._plan.pipeline(self._runners), expected)
        shapes, bound = {"stem": expected.shape}, STEM_BOUND[self._precision]
        self._rows.append(Row("pipeline", "same seed", shapes, error, bound))
        parity.check(self._rows)
        return self._manifest()

    def _add(self, part: StageExport, feeds: Mapping[str, Sequence[Feed]]) -> None:
        """Write and compare a stage, and what computes instead of it here."""
        stage, runner, rows = self._fit(part, feeds)
        name = stage.stage
        if part.instead and self._precision == "int8":
            runner, bound = part.instead, STAGE_BOUND["float16"]
            for kind, each in feeds.items():
                rows += parity.compare(name, f"{kind}, half", part.model, runner, each, bound)
        self._stages.append(stage)
        self._rows += rows
        self._runners[name] = runner
        parity.check(self._rows)

    def _fit(
        self, part: StageExport, feeds: Mapping[str, Sequence[Feed]]
    ) -> tuple[StageRow, Runner, list[Row]]:
        """A stage, written, opened and compared.

        Where int8 is too coarse for its convolutions, they stay in float32.
        """
        firsts = [feed for each in feeds.values() for feed in each[:1]]
        stage = write_stage(part, self._folder, self._precision, firsts)
        runner, bound = self._open(self._folder, stage, part.tensors), STAGE_BOUND[self._precision]
        rows: list[Row] = []
        for kind, each in feeds.items():
            rows += parity.compare(stage.stage, kind, part.model, runner, each, bound)
        is_quantised = part.quantises_convolutions and self._precision == "int8"
        if is_quantised and not all(row.is_within for row in rows):
            log.warning(
                "%s: convolutions in int8 are %.1f %% off, they stay in float32",
                stage.stage,
                100 * max(row.error for row in rows),
            )
            return self._fit(replace(part, quantises_convolutions=False), feeds)
        return stage, runner, rows

    def _manifest(self) -> ExportManifest:
        plan, files = self._plan, sorted(self._folder.iterdir())
        return ExportManifest(
            family=plan.family,
            precision=self._precision,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            weights=manifests.weight_rows(plan.files, plan.hashes),
            versions=plan.versions,
            graphs={path.name: manifests.sha256(path) for path in files},
            stages=tuple(self._stages),
            parity=tuple(row.as_row() for row in self._rows),
            settings=plan.settings,
        )
