"""`python -m recorder`: the recorder service."""

from core.service import run
from recorder.app import build

if __name__ == "__main__":
    run("recorder", build)
