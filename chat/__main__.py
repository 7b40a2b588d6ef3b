"""`python -m chat`: the chat service."""

from chat.app import build
from core.service import run

if __name__ == "__main__":
    run("chat", build)
