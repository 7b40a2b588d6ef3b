"""`python -m api`."""

from api.app import build
from core.service import run

run("api", build)
