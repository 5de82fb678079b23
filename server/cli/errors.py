"""What a command may end with: its exit code, or an error that the user can mend."""

from __future__ import annotations

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class CliError(Exception):
    """Something the user can mend; `code` is symbolic, the text says what to do."""

    def __init__(self, code: str, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(f"{code}: {message}")
        self.exit_code = exit_code
