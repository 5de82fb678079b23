"""The caps in docs/security.md are those of the code; other tests reach them."""

import importlib
import re

from tests.server.machine import ROOT


def test_every_cap_of_the_page_is_the_codes_own():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| .*? \| ([\d,]+)(?: (KiB|MiB))? \| .*? \| `([\w.]+)\.(\w+)` \|$", page, re.MULTILINE
    )
    assert len(rows) >= 20
    for number, unit, module, name in rows:
        stated = int(number.replace(",", "")) * {"KiB": 2**10, "MiB": 2**20}.get(unit, 1)
        assert getattr(importlib.import_module(module), name) == stated, name
