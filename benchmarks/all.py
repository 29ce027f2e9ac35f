"""All benchmarks one after the other, and their tables in `README.md`: `python benchmarks/all.py [name ...] [--write] [any option of a benchmark]`.

Each prints its table; `--write` replaces the tables of those that ran between the marks in `README.md` and the line that names the machine. Run nothing else
meanwhile.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = "cuba cobahh brunel brunel_delays stdp single_neuron repeated_runs connect startup threads scaling costs microcircuit".split()
NAMES += [f"training/{name}" for name in "feed_forward recurrent wide adaptive long epoch kept growth".split()]
"""In the order of the README; `microcircuit` needs the most memory."""


def run(name: str, options: list[str]) -> tuple[int, str]:
    """Exit status and output of a benchmark."""
    answer = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *options], stdout=subprocess.PIPE, text=True)
    return answer.returncode, answer.stdout


def written(page: str, name: str, output: str) -> str:
    """The page with another table of a benchmark, and what was said below it."""
    _, _, rest = output[output.index(", Python ") :].partition("\n\n")
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if page.count(start) != 1 or page.count(end) != 1:
        raise ValueError(f"README.md has no place for {name}: it needs the lines {start} and {end}")
    table, _, said = rest.strip().partition("\n\n")
    notes = "".join(f"\n{line}\n" for line in said.splitlines() if line.strip())
    machine = re.search(r"^.*, Python .*$", output, re.M)
    assert machine is not None
    return re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: f"{start}\n{machine[0]}\n\n{table}\n{notes}{end}", page, flags=re.S)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="name", help=f"of {', '.join(NAMES)}; all if left out")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    chosen, options = parser.parse_known_args()
    readme, failed = HERE / "README.md", []
    for name in chosen.names or NAMES:
        status, output = run(name, options)
        sys.stdout.write(f"\n## {name}\n\n{output}")
        sys.stdout.flush()
        if status:
            failed.append(name)
        elif chosen.write:
            readme.write_text(written(readme.read_text(encoding="utf-8"), name, output), encoding="utf-8")
    sys.stdout.write(f"\nwith errors: {', '.join(failed)}\n" if failed else "")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
