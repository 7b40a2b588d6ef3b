"""Real encodes for the packager's tests: ffmpeg writes FLV, PyAV decodes what comes out.

Every picture carries its number as a bar code, wide enough to survive any quantiser: frames are
recognised by what they show, not by their times.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

WIDTH, HEIGHT = 192, 96
BITS = 16
BAR = WIDTH // BITS


def draw(number: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A yuv420p picture: the bar code of `number` above, its complement below, grey chroma."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], dtype=np.uint8)
    row = np.repeat(np.where(bits, 235, 16), width // BITS).astype(np.uint8)
    luma = np.vstack([np.tile(row, (height // 2, 1)), np.tile(251 - row, (height // 2, 1))])
    return luma.tobytes() + bytes([128]) * (width * height // 2)


def number_in(luma: np.ndarray) -> int:
    """The number of a decoded picture, -1 if the two codes contradict each other."""
    height, width = luma.shape
    bar = width // BITS
    columns = luma[:, bar // 2 :: bar][:, :BITS].astype(int)
    above = columns[height // 8 : height * 3 // 8].mean(axis=0) > 125
    below = columns[height * 5 // 8 : height * 7 // 8].mean(axis=0) > 125
    if (above == below).any():
        return -1
    return int(sum(int(bit) << index for index, bit in enumerate(above)))


@dataclass(frozen=True)
class Recipe:
    """One encode. `keyframes` are seconds, in place of `gop` frames; `dropped` are frame numbers;
    `channels` 0 means no sound.
    """

    rate: str = "30"
    seconds: float = 8
    gop: int = 30
    keyframes: tuple[float, ...] = ()
    b_frames: int = 0
    channels: int = 2
    sample_rate: int = 48000
    dropped: frozenset[int] = frozenset()
    codec: str = "libx264"
    pixels: str = "yuv420p"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    first: int = 0
    options: tuple[str, ...] = field(default=())

    @property
    def frames_per_second(self) -> float:
        top, _, bottom = self.rate.partition("/")
        return int(top) / int(bottom or 1)

    @property
    def numbers(self) -> list[int]:
        count = round(self.seconds * self.frames_per_second)
        return [self.first + n for n in range(count) if n not in self.dropped]


def encode(recipe: Recipe) -> bytes:
    """The recipe's FLV as ffmpeg writes it."""
    count = round(recipe.seconds * recipe.frames_per_second)
    raw = b"".join(draw(recipe.first + n, *recipe.size) for n in range(count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.flv"
        subprocess.run(
            _argv(recipe, path), input=raw, check=True, timeout=60, stderr=subprocess.DEVNULL
        )
        return path.read_bytes()


def _argv(recipe: Recipe, path: Path) -> list[str]:
    width, height = recipe.size
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    argv += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
    argv += ["-r", recipe.rate, "-i", "pipe:0"]
    if recipe.channels:
        sound = f"sine=frequency=440:sample_rate={recipe.sample_rate}"
        argv += ["-f", "lavfi", "-i", sound, "-c:a", "aac", "-ac", str(recipe.channels)]
        argv += ["-t", str(recipe.seconds)]
    filters = [f"format={recipe.pixels}"]
    if recipe.dropped:
        lost = "+".join(f"eq(n,{n})" for n in sorted(recipe.dropped))
        filters.append(f"select=not({lost})")
    argv += [
        "-vf",
        ",".join(filters).replace("select=not", "select='not") + ("'" * bool(recipe.dropped)),
    ]
    argv += ["-fps_mode", "passthrough", "-c:v", recipe.codec, *_encoder(recipe)]
    return [*argv, "-f", "flv", "-flvflags", "no_duration_filesize", str(path)]


def _encoder(recipe: Recipe) -> list[str]:
    keys = ["-g", str(recipe.gop)]
    if recipe.keyframes:
        keys = ["-g", "9999", "-force_key_frames", ",".join(map(str, recipe.keyframes))]
    if recipe.codec == "libx264":
        keys += ["-preset", "ultrafast", "-bf", str(recipe.b_frames), "-sc_threshold", "0"]
        if recipe.b_frames:
            keys += ["-x264-params", "b-adapt=0:scenecut=0"]
    elif recipe.codec == "libx265":
        keys += ["-preset", "ultrafast", "-x265-params",
                 f"log-level=none:bframes={recipe.b_frames}:keyint={recipe.gop}:scenecut=0"]  # fmt: skip
    else:
        keys += ["-preset", "12", "-crf", "12", "-svtav1-params", "lp=1"]
    return [*keys, *recipe.options]


@lru_cache(maxsize=4)
def decode(media: bytes) -> tuple[list[int], list[float], list[float], int]:
    """Of an MP4 or FLV: numbers seen, their times, times of audio frames (s), audio samples.

    Several tests ask about the same media.
    """
    numbers: list[int] = []
    seen: list[float] = []
    heard: list[float] = []
    samples = 0
    with av.open(io.BytesIO(media), "r") as container:
        for frame in container.decode(*container.streams):
            if isinstance(frame, av.VideoFrame):
                plane = frame.reformat(format="gray").planes[0]
                luma = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
                numbers.append(number_in(luma[: frame.height, : frame.width]))
                seen.append(frame.time or 0.0)
            elif isinstance(frame, av.AudioFrame):
                heard.append(frame.time or 0.0)
                samples += frame.samples
    return numbers, seen, heard, samples


def steady(times: list[float]) -> bool:
    return all(b > a for a, b in pairwise(times))
