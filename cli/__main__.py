"""`python -m cli COMMAND`: what `./footlight` runs once the tools are there."""

import sys

from cli.commands import parse, run

if __name__ == "__main__":
    sys.exit(run(parse(sys.argv[1:])))
