"""What is uploaded becomes WebP in three sizes; whatever it held besides a picture is left behind.

Decoding happens in one thread of its own, so that uploads neither hold up requests nor take more
than one core. What is decoded is bounded before it is: bytes, pixels, frames.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from PIL import Image, ImageOps, ImageSequence

from core.errors import Invalid, Unavailable

T = TypeVar("T")
SIZES = (28, 56, 112)
LARGEST = SIZES[-1]
# What may be uploaded.
MOST_BYTES = 1_000_000
FORMATS = ("PNG", "WEBP", "GIF", "AVIF")
SMALLEST_SIDE = 28
LONGEST_SIDE = 4096
MOST_FRAMES = 120
# Over all frames; decoding and resizing this much takes a second or two.
MOST_PIXELS = 32_000_000
# Of one frame, milliseconds: browsers treat shorter ones as much longer.
SHORTEST_MS = 20
LONGEST_MS = 10_000
# Uploads that wait for the thread.
MOST_WAITING = 16


@dataclass(frozen=True)
class Rendered:
    """An emote's pictures by size, WebP."""

    animated: bool
    pictures: dict[int, bytes]


def render(data: bytes) -> Rendered:
    """The picture in `data`, fit into squares with the rest transparent.

    Raises Invalid: `invalid_image`, `image_too_large`, `image_too_small`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image)
            frames, durations = _read(image)
        pictures = {size: _encode(frames, durations, size) for size in SIZES}
    except Invalid:
        raise
    except Exception as error:
        # A decoder that is given rubbish may raise anything.
        raise _refused("This is not a PNG, WebP, GIF or AVIF picture.", "invalid_image") from error
    return Rendered(len(frames) > 1, pictures)


def _check(image: Image.Image) -> None:
    """Raise Invalid for what is not worth decoding; nothing has been decoded yet."""
    width, height = image.size
    if max(width, height) < SMALLEST_SIDE:
        text = f"A picture has at least {SMALLEST_SIDE} pixels on its longer side."
        raise _refused(text, "image_too_small")
    if max(width, height) > LONGEST_SIDE:
        text = f"A picture has at most {LONGEST_SIDE} pixels on a side."
        raise _refused(text, "image_too_large")
    frames = getattr(image, "n_frames", 1)
    if frames > MOST_FRAMES or frames * width * height > MOST_PIXELS:
        text = f"An animation has at most {MOST_FRAMES} frames, and not too many pixels in all."
        raise _refused(text, "image_too_large")


def _read(image: Image.Image) -> tuple[list[Image.Image], list[int]]:
    """Every frame in the largest size, and how long each is shown, milliseconds."""
    if getattr(image, "n_frames", 1) == 1:
        ImageOps.exif_transpose(image, in_place=True)
        return [_fit(image, LARGEST)], [0]
    frames = []
    durations = []
    for frame in _frames(image):
        frames.append(_fit(frame, LARGEST))
        shown = round(float(frame.info.get("duration") or 100))
        durations.append(min(max(shown, SHORTEST_MS), LONGEST_MS))
    return frames, durations


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        # A file may hold more than it said.
        if number >= MOST_FRAMES:
            raise _refused("An animation has too many frames.", "image_too_large")
        yield frame


def _fit(image: Image.Image, size: int) -> Image.Image:
    """`image` in the middle of a transparent square; nothing of its metadata comes along."""
    small = ImageOps.contain(image.convert("RGBA"), (size, size), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (size, size))
    square.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return square


def _encode(frames: list[Image.Image], durations: list[int], size: int) -> bytes:
    first, *rest = frames if size == LARGEST else [_fit(frame, size) for frame in frames]
    file = io.BytesIO()
    if rest:
        first.save(
            file, "WEBP", save_all=True, append_images=rest, duration=durations, loop=0, quality=80
        )
    else:
        first.save(file, "WEBP", quality=90, method=6)
    return file.getvalue()


def _refused(message: str, code: str) -> Invalid:
    return Invalid(message, code=code, field="file")


class Renderer:
    """Renders one upload after the other."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._waiting = 0

    async def render(self, data: bytes) -> Rendered:
        """As `render`. Raises Unavailable when too many wait."""
        return await self.work(render, data)

    async def work(self, make: Callable[[bytes], T], data: bytes) -> T:
        """What `make` makes of an upload, in turn. Raises what it does, and Unavailable when too many
        wait.
        """
        if self._waiting >= MOST_WAITING:
            raise Unavailable("Too many pictures are being made just now.", retry_after=10)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, make, data)
        finally:
            self._waiting -= 1


@asynccontextmanager
async def open_renderer() -> AsyncIterator[Renderer]:
    """A renderer with its thread."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="emotes")
    try:
        yield Renderer(thread)
    finally:
        thread.shutdown(wait=False, cancel_futures=True)
