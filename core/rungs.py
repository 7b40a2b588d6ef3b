"""Sizes and rates of transcoded renditions, the same for broadcasts and for uploads. Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: Video bits per second at 24–30 fps by height of the shorter side.
BITRATES = {1080: 4_500_000, 720: 2_500_000, 480: 1_200_000, 360: 700_000, 240: 350_000}
HIGH_FRAME_RATE = 40.0
HIGH_FRAME_RATE_FACTOR = 1.5


@dataclass(frozen=True, slots=True)
class Rung:
    """One transcoded rendition: H.264, 8 bit, 4:2:0. `bitrate` is bits per second of video."""

    name: str
    width: int
    height: int
    bitrate: int


def rung_of(height: int, width: int, full_height: int, fps: float) -> Rung:
    """The rung of a picture of `width` × `full_height` whose shorter side becomes `height`."""
    scale = height / min(width, full_height)
    factor = HIGH_FRAME_RATE_FACTOR if fps > HIGH_FRAME_RATE else 1.0
    return Rung(
        name=f"{height}p",
        width=max(2, round(width * scale / 2) * 2),
        height=max(2, round(full_height * scale / 2) * 2),
        bitrate=round(_bitrate(height) * factor),
    )


def _bitrate(height: int) -> int:
    """Between the sizes of the table, by area of the nearest one above (or the largest)."""
    above = min((h for h in BITRATES if h >= height), default=max(BITRATES))
    return round(BITRATES[above] * (height / above) ** 2) if height != above else BITRATES[above]
