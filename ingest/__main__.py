"""`python -m ingest`: the ingest service."""

from core.service import run
from ingest.app import build

if __name__ == "__main__":
    run("ingest", build)
