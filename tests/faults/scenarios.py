"""Every fault that is tried, in the order of docs/faults.md, which is made from here."""

from tests.faults import disks, processes, read_files, system

SCENARIOS = [*processes.SCENARIOS, *disks.SCENARIOS, *system.SCENARIOS, *read_files.SCENARIOS]
