"""`python -m brianlike demo`: train a spiking network written as equations on real images, then simulate the same network."""

from __future__ import annotations

import argparse
import sys

from . import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m brianlike", description="Spiking neural networks from equation strings.")
    parser.add_argument("--version", action="version", version=f"brianlike {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train on handwritten digits, simulate the trained network, save one picture")
    demo.add_argument("--epochs", type=int, default=40, help="passes over the training images (default: 40)")
    demo.add_argument("--seed", type=int, default=1, help="of everything random (default: 1)")
    demo.add_argument("--picture", default="brianlike-demo.png", help="where the picture goes (default: brianlike-demo.png)")
    options = parser.parse_args(arguments)
    try:
        from .demo import run_demo
    except ImportError as error:
        print(f"The demo needs torch, scikit-learn and matplotlib: pip install 'brianlike[demo]'  ({error})", file=sys.stderr)
        return 1
    return 0 if run_demo(options.epochs, options.seed, options.picture) else 1


if __name__ == "__main__":
    sys.exit(main())
