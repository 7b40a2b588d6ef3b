"""`footlight bench NAME …`: hands over to the benchmark's own program."""

from __future__ import annotations

import argparse
import runpy
import sys

from cli.commands import BENCHMARKS


def main(arguments: argparse.Namespace) -> int:
    """Become `python -m bench.NAME`. Its exit status is ours."""
    name, *rest = arguments.rest or [""]
    if name not in BENCHMARKS:
        print(f"usage: footlight bench {{{','.join(BENCHMARKS)}}} [options]", file=sys.stderr)
        return 2
    sys.argv = [f"footlight bench {name}", *rest]
    runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=False)
    return 0
