"""The table of docs/faults.md, from the scenarios."""

from osc_protocol import ERROR_CODES

HEAD = "| fault | what is done to it | what holds | code | the cure in its text |\n|---|---|---|---|---|"


def table(scenarios):
    """Markdown: one row for each scenario, then what the codes mean."""
    rows = [
        f"| {row.name} | {row.injury} | {row.holds} | {f'`{row.code}`' if row.code else 'none: the job is done'} | "
        f"{f'“{row.cure}”' if row.cure else ''} |"
        for row in scenarios
    ]
    codes = [
        f"* `{code}`: {ERROR_CODES[code]}"
        for code in sorted({row.code for row in scenarios} - {""})
    ]
    return "\n".join([HEAD, *rows, "", *codes])
