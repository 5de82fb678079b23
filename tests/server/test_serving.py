"""What the server asks of the system."""

import subprocess
import sys

import pytest

pytest.importorskip("resource")
ASK = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
from server.serving import FILE_HANDLES, allow_more_files
allow_more_files()
soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
assert soft == (FILE_HANDLES if hard == resource.RLIM_INFINITY else min(hard, FILE_HANDLES)), soft
"""


def test_it_may_open_as_many_files_as_its_caps_need():
    subprocess.run([sys.executable, "-c", ASK], check=True)
