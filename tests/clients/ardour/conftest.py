"""The studio's fixtures, once for this folder."""

from tests.clients.studio import data_dir, media, retimbre, server_port  # noqa: F401
