"""The table of docs/faults.md, from the scenarios."""

from osc_protocol import ERROR_CODES

HEAD = """\
| fault | what is done to it | what holds | code | the cure in its text |
|---|---|---|---|---|"""


def table(scenarios):
    """Markdown: one row for each scenario, then what the codes mean."""
    rows = []
    for row in scenarios:
        code = f"`{row.code}`" if row.code else "none: the job is done"
        cure = f"“{row.cure}”" if row.cure else ""
        rows.append(f"| {row.name} | {row.injury} | {row.holds} | {code} | {cure} |")
    codes = [
        f"* `{code}`: {ERROR_CODES[code]}"
        for code in sorted({row.code for row in scenarios} - {""})
    ]
    return "\n".join([HEAD, *rows, "", *codes])
