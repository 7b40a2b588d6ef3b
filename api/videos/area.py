"""The area of operations that the files of this folder declare into."""

from __future__ import annotations

from http import HTTPStatus

from api.operations import Operations

videos = Operations("Videos")

NOT_FOUND = {HTTPStatus.NOT_FOUND: ("video_not_found",)}
OWNERS = {HTTPStatus.FORBIDDEN: ("forbidden",)}
