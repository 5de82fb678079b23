"""A server process for tests that kill it: `serve_double.py DATA_DIR ROOT [HTTP_PORT [PORT]]`.

Its ports are in the port file; 0 and none: any free ones.
"""

import asyncio
import sys

from server.app import Server
from server.config import ServeConfig
from tests.server.clients import executor


async def main(data_dir, root, http_port="0", port="0"):
    config = ServeConfig(data_dir=data_dir, port=int(port), http_port=int(http_port), root=(root,))
    server = Server(config, executor(cancel_seconds=1.0))  # a double that hangs obeys nobody
    await server.start()
    await server.serve_until_stopped()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
