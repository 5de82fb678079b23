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
from server.jobs.journal import End, JobRecord, Journal, Result

log = logging.getLogger(__name__)


@dataclass
class Recovery:
    """What was found: jobs to run, and jobs whose end is to be told."""

    resumed: list[JobRecord] = field(default_factory=list)
    ended: list[tuple[JobRecord, list[Result], End]] = field(default_factory=list)


def recover(journal: Journal, takes: Path) -> Recovery:
    """Decide about each unfinished job and write the decision down.

    Blocks; runs in the journal's thread.
    """
    recovery = Recovery()
    for record in journal.unfinished():
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


def _close(journal: Journal, record: JobRecord, takes: Path) -> tuple[JobRecord, list[Result], End]:
    kept = {result.index: result for result in journal.results(record.job)}
    made, manifests = stems.finished(record, takes)
    results = list(
        {
            **{
                result.index: stems.delivered(result, record.spec["out"])[0]
                for result in made
                if result.index not in kept
            },
            **kept,
        }.values()
    )
    results.sort(key=lambda result: result.index)
    if len(manifests) < record.spec["takes"]:
        end = End(
            "interrupted",
            "the server was stopped while this ran; send it again under a new id, or use "
            "/retimbre/again",
            record.spec["seed"],
            "",
            0.0,
            len(results),
        )
    else:
        seconds = max(0.0, os.path.getmtime(manifests[0]) - record.created)
        end = End("", "", record.spec["seed"], manifests[0], seconds, len(results))
    return record, results, journal.end_job(record.job, end, results)
