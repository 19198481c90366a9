"""Runs a command and ends it when standard input closes, which happens whenever the process that started this one dies, however it dies.

Stand-alone on purpose: `python -I watchdog.py COMMAND ...` needs nothing but the standard library.
"""

import os
import subprocess
import sys
import threading

GRACE_S = 5


def main() -> int:
    """Exit status of the command, or of its termination."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def end_with_parent() -> None:
        # Unbuffered: a lock held by this thread would spoil the interpreter's exit.
        while os.read(0, 1024):
            pass
        child.terminate()
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=end_with_parent, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
