"""All options: `options` writes each once, `flags` and `reading` derive the rest from its field.

That is the command line flags, the keys of the option file, the environment variables (RETIMBRE_
and the field's name in capitals), and the frozen objects that the program reads.
"""

from server.config.flags import add_arguments, arguments, markdown
from server.config.options import CONFIGS, ClientConfig, CommonConfig, ConfigError, ServeConfig
from server.config.reading import build

__all__ = [
    "CONFIGS",
    "ClientConfig",
    "CommonConfig",
    "ConfigError",
    "ServeConfig",
    "add_arguments",
    "arguments",
    "build",
    "markdown",
]
