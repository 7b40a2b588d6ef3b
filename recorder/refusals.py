"""What is told to whoever asked for something that cannot be done."""

from __future__ import annotations


class Refused(Exception):
    """A job can never be done, for a reason that its owner is told: `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
