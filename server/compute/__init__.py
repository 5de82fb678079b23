"""Who computes: one local worker process (`local`), or replicas on a Ray cluster (`ray*`).

    dispatcher -> executor -> worker process                       on this machine
    dispatcher -> executor -> Ray Serve's router -> replica        on any machine

A replica runs `engine.worker.Worker` in a temporary folder; only the server writes journal and
takes. Nothing here imports Ray before `--executor ray` asks for it. docs/cluster.md has the
commands.
"""
