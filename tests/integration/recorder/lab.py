"""Makes files, uploads them, and looks at what becomes of them."""

from __future__ import annotations

import io
import secrets
import subprocess
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
from sqlalchemy import select

from core.db.models import Channel, Role, User
from core.db.video_models import Job, Upload, UploadState, Video, VideoTimeline
from recorder import jobs
from recorder.jobs import Kind
from recorder.timeline import Entry, Timeline
from tests.job_kit import Running


@dataclass
class Made:
    """What became of an upload."""

    video: Video
    job: Job
    timeline: dict[str, tuple[Entry, ...]]
    running: Running

    async def file(self, rendition: str) -> bytes:
        """A rendition as a player puts it together."""
        folder = f"videos/{self.video.id}/{rendition}"
        entries = self.timeline[rendition]
        parts = [await self.running.storage.get(f"{folder}/{entries[0].init}")]
        parts += [await self.running.storage.get(f"{folder}/{e.msn}.m4s") for e in entries]
        return b"".join(parts)


async def new_channel(running: Running) -> int:
    """Somebody to upload for: the channel's id."""
    login = f"up_{secrets.token_hex(4)}"
    async with running.database.session() as session:
        user = User(
            login=login,
            email=f"{login}@example.org",
            display_name=login,
            password_hash="-",
            role=Role.CREATOR,
        )
        session.add(user)
        await session.flush()
        session.add(Channel(id=user.id))
        return user.id


class Lab:
    """Makes files, uploads them, and has workers at hand, whose folders are in `scratch`."""

    def __init__(
        self,
        running: Running,
        folder: Path,
        ffmpeg: str,
        channel_id: int,
        scratch: Path | None = None,
    ) -> None:
        self.running = running
        self.folder = folder
        self.channel_id = channel_id
        self.scratch = scratch or folder
        self._ffmpeg = ffmpeg

    def make(self, name: str, *words: str) -> Path:
        """A file that ffmpeg writes."""
        path = self.folder / name
        command = [self._ffmpeg, "-hide_banner", "-loglevel", "error", "-y", *words, str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path

    async def upload(self, data: bytes, chunk: int = 1_000_000) -> int:
        """A complete upload and its job: the job's id."""
        upload_id = uuid.uuid4()
        chunks = []
        for at in range(0, len(data), chunk):
            part = data[at : at + chunk]
            key = f"uploads/{upload_id}/{at:016d}-{len(part)}"
            await self.running.storage.put(key, part)
            chunks.append({"key": key, "size": len(part)})
        async with self.running.database.session() as session:
            video = Video(channel_id=self.channel_id, kind="upload", status="processing",
                          title="Upload", published_at=datetime.now(UTC))  # fmt: skip
            session.add(video)
            await session.flush()
            session.add(
                Upload(
                    id=upload_id,
                    user_id=self.channel_id,
                    video_id=video.id,
                    name="file",
                    size=len(data),
                    received=len(data),
                    chunks=chunks,
                    state=UploadState.COMPLETE,
                    expires_at=datetime.now(UTC) + timedelta(days=1),
                )
            )
            params = {"upload_id": str(upload_id)}
            row = await jobs.add(session, Kind.TRANSCODE, video_id=video.id, params=params)
        await self.running.queue.wake(row)
        return row.id

    async def result(self, job_id: int) -> Made:
        """What became of it, once it is over."""
        job = await self.running.until(job_id, "done", "failed", within_s=120)
        async with self.running.database.session() as session:
            video = await session.get(Video, job.video_id or 0)
            query = select(VideoTimeline.entries).where(VideoTimeline.video_id == job.video_id)
            entries = await session.scalar(query)
        assert video is not None
        timeline = Timeline.decode(entries).renditions if entries else {}
        return Made(video, job, dict(timeline), self.running)

    async def transcoded(self, data: bytes) -> Made:
        """`upload` and `result`."""
        return await self.result(await self.upload(data))


def pictures(data: bytes) -> list[av.VideoFrame]:
    """Every frame of a file."""
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        return list(container.decode(video=0))


def sound_s(data: bytes) -> float:
    """How long a file sounds."""
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
