"""`python -m tests.simulation --operations N --seed S`: episodes until N commands were answered; the first finding ends it with its seed and step."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own packages, as pytest has them

from simulation.world import CHECK_EVERY, COMMANDS_AN_EPISODE, Finding, Simulation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000, help="commands, over all episodes")
    parser.add_argument("--seed", default="1", help="any text; episode k runs on '<seed>/<k>'")
    parser.add_argument("--episode", type=int, help="only this one: to see a finding again")
    parser.add_argument("--commands", type=int, default=COMMANDS_AN_EPISODE, help="commands an episode")
    parser.add_argument("--check-every", type=int, default=CHECK_EVERY, help="one batch of so many goes through the checker of the statement")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--folder", type=Path, help="where the journals go: a file system in memory is quicker (default: the system's for temporary files)")
    arguments = parser.parse_args()
    began, done, episode, counts = time.monotonic(), 0, arguments.episode or 0, Counter[str]()
    while done < arguments.operations and not (arguments.seconds and time.monotonic() - began > arguments.seconds):
        with tempfile.TemporaryDirectory(prefix="straddle-simulation-", dir=arguments.folder) as folder:
            simulation = Simulation(f"{arguments.seed}/{episode}", Path(folder), arguments.check_every)
            try:
                simulation.run(arguments.commands)
            except Finding as finding:
                print(f"FINDING: {finding}\nagain: python -m tests.simulation --seed {arguments.seed} --episode {episode} --commands {arguments.commands}")
                raise
        done, counts, episode = done + simulation.commands, counts + simulation.counts, episode + 1
        if sys.stderr.isatty() or episode % 20 == 0:
            print(f"{done} operations, {episode} episodes, {done / (time.monotonic() - began):.0f} a second", file=sys.stderr)
        if arguments.episode is not None:
            break
    for name, count in sorted(counts.items()):
        print(f"{count:>9}  {name}")
    print(f"{done} operations without a finding, {done / (time.monotonic() - began):.0f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
