"""What has been measured, kept as one JSON line each, so that nothing is measured twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Ledger:
    """`ledger(key, measure)` is what stands under the key, measured if nothing does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.rows: dict[str, Any] = dict(json.loads(line) for line in lines)

    def __call__(self, key: str, measure: Callable[[], Any]) -> Any:
        if key not in self.rows:
            line = json.dumps([key, measure()])
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
            self.rows[key] = json.loads(line)[1]
        return self.rows[key]

    def under(self, prefix: str) -> list[Any]:
        """Everything whose key begins so, in the order of keys' last parts."""
        found = [(key, row) for key, row in self.rows.items() if key.startswith(prefix)]
        return [
            row for _, row in sorted(found, key=lambda item: item[0].rpartition("/")[2].zfill(9))
        ]
