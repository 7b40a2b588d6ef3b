"""The area of this folder; each file declares its operations where it is imported."""

from __future__ import annotations

from api.videos import catalogue, posters, replay, retry, settings, storage, watching
from api.videos.area import videos

__all__ = ["catalogue", "posters", "replay", "retry", "settings", "storage", "videos", "watching"]
