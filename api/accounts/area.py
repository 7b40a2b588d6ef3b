"""The areas of operations that the files of this folder declare into."""

from __future__ import annotations

from api.operations import Operations

auth = Operations("Logging in")
me = Operations("Your account")
