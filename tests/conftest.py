"""For all tests."""

from __future__ import annotations

import os

# pytest-xdist tells its workers the width of the terminal. The command line's consoles would keep it, where tests set their own.
os.environ.pop("COLUMNS", None)
