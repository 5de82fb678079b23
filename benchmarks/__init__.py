"""How fast is it, and where does the time go?

`python -m benchmarks all` measures what the goals are set for.

Rule 1: each module measures one thing: `measure(setting)` starts what it needs and gives figures,
each beside its goal.
Rule 2: what is measured is the product from outside: a server process, real sockets, real files,
fresh folders.
Rule 3: nothing here leaves this machine, and nothing outlives its `with`.
"""
