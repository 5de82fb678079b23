"""After a crash: what becomes of the jobs that had not ended. See rule 2 of `server.jobs.journal`.

`queued`: no worker has seen it; it is resumed. `running`: its worker may have begun, and dies with
the server (its standard input closes). It has ended when the engine got as far as its manifest;
otherwise it failed as interrupted. The client decides whether to send it again. A job that took the
machine down is thus never the first thing that the next start does.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from server.jobs import stems
from server.jobs.journal import Journal
from server.jobs.records import EditRecord, End, Result

log = logging.getLogger(__name__)


@dataclass
class Recovery:
    """What was found: jobs to run, and jobs whose end is to be told."""

    resumed: list[EditRecord] = field(default_factory=list)
    ended: list[tuple[EditRecord, list[Result], End]] = field(default_factory=list)


def recover(journal: Journal, takes: Path) -> Recovery:
    """Decide about each unfinished job and write the decision down.

    Blocks; runs in the journal's thread.
    """
    recovery = Recovery()
    for record in journal.list_unfinished():
        if record.state == "queued":
            recovery.resumed.append(record)
        else:
            recovery.ended.append(_close(journal, record, takes))
    if recovery.resumed or recovery.ended:
        log.warning(
            "after the last run: %d jobs are resumed, %d had been running",
            len(recovery.resumed),
            len(recovery.ended),
        )
    return recovery


def _close(
    journal: Journal, record: EditRecord, takes: Path
) -> tuple[EditRecord, list[Result], End]:
    spec = record.spec
    by_index = {result.index: result for result in journal.results(record.job)}
    finished, manifests = stems.read_takes(record, takes)
    for result in finished:
        if result.index not in by_index:
            by_index[result.index], _ = stems.deliver(result, spec.output_folder)
    results = [by_index[index] for index in sorted(by_index)]
    if len(manifests) < spec.takes:
        end = End(
            "interrupted",
            "the server was stopped while this ran; send it again under a new id, or use "
            "/retimbre/again",
            spec.seed,
            results=len(results),
        )
    else:
        seconds = max(0.0, os.path.getmtime(manifests[0]) - record.created)
        end = End("", "", spec.seed, manifests[0], seconds, len(results))
    return record, results, journal.end_job(record.job, end, results)
