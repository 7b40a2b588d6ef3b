"""Pictures that are uploaded: what becomes of them, and what is refused before it is decoded."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from api.emotes.emotes import GLOBAL_SET, global_set
from api.emotes.images import MOST_FRAMES, SIZES, render
from core.errors import Invalid

RED, BLUE = (255, 0, 0, 255), (0, 0, 255, 255)


def picture(form: str, size: tuple[int, int] = (64, 64), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", size, RED).save(file, form, **options)
    return file.getvalue()


def animation(form: str, frames: int = 3, size: tuple[int, int] = (40, 40)) -> bytes:
    file = io.BytesIO()
    # Frames that are alike would be merged.
    colors = [(67 * n % 256, 101 * n % 256, 197 * n % 256) for n in range(frames)]
    pictures = [Image.new("RGB", size, color) for color in colors]
    more = {"save_all": True, "append_images": pictures[1:], "duration": 70, "loop": 0}
    pictures[0].save(file, form, **more)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF"])
def test_a_still_picture(form: str) -> None:
    rendered = render(picture(form))
    assert not rendered.animated
    assert set(rendered.pictures) == set(SIZES)
    for size, data in rendered.pictures.items():
        image = opened(data)
        assert image.size == (size, size)
        middle = image.convert("RGBA").crop((size // 2, size // 2, size // 2 + 1, size // 2 + 1))
        red, green, blue, alpha = middle.tobytes()
        assert red > 240 and green < 15 and blue < 15 and alpha > 250


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF"])
def test_an_animation(form: str) -> None:
    rendered = render(animation(form))
    assert rendered.animated
    for size, data in rendered.pictures.items():
        image = opened(data)
        assert (image.size, image.n_frames) == ((size, size), 3)  # type: ignore[attr-defined]
        image.load()
        assert image.info["duration"] == 70


def test_the_rest_of_the_square_is_transparent() -> None:
    image = opened(render(picture("PNG", (100, 50))).pictures[112]).convert("RGBA")
    alpha = [image.getpixel((56, y))[3] for y in (5, 56, 106)]  # type: ignore[index]
    assert alpha == [0, 255, 0]


def test_only_the_picture_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    data = picture("PNG", exif=exif, icc_profile=b"secret profile")
    for kept in render(data).pictures.values():
        assert b"secret" not in kept
        assert not opened(kept).getexif()


def test_a_photograph_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image = Image.new("RGB", (60, 60), BLUE[:3])
    image.paste((255, 0, 0), (0, 0, 60, 30))
    image.save(file, "PNG", exif=exif)
    turned = opened(render(file.getvalue()).pictures[112]).convert("RGB")
    # Turned clockwise: what was above is on the right.
    left, right = turned.getpixel((10, 56)), turned.getpixel((100, 56))
    assert left[2] > 200 and right[0] > 200  # type: ignore[index]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


#: Made when they are used: the large ones take a second.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "invalid_image"),
    "text": (lambda: b"hello", "invalid_image"),
    "jpeg": (lambda: b"\xff\xd8\xff\xe0" + b"\0" * 100, "invalid_image"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "invalid_image"),
    "cut off": (lambda: picture("PNG")[:60], "invalid_image"),
    "bomb": (lambda: png_header(60_000, 60_000), "invalid_image"),
    "wide": (lambda: png_header(4097, 30), "image_too_large"),
    "tiny": (lambda: picture("PNG", (27, 27)), "image_too_small"),
    "long": (lambda: animation("GIF", MOST_FRAMES + 1), "image_too_large"),
    "heavy": (lambda: animation("WEBP", 9, (2000, 2000)), "image_too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, code = REFUSED[name]
    data = make()
    with pytest.raises(Invalid) as refused:
        render(data)
    if name == "bomb":
        # Too many pixels, whichever of the two looks first.
        assert refused.value.code in ("invalid_image", "image_too_large")
    else:
        assert refused.value.code == code
    assert refused.value.field == "file"


ORIGINALS = [picture("PNG"), animation("GIF"), animation("WEBP"), picture("AVIF")]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ORIGINALS), st.integers(0, 2**32))
def test_a_broken_file_is_refused_or_rendered(original: bytes, seed: int) -> None:
    chance = random.Random(seed)
    broken = bytearray(original)
    for _ in range(chance.randint(1, 8)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    try:
        rendered = render(bytes(broken[: chance.randint(20, len(broken))]))
    except Invalid:
        return
    assert set(rendered.pictures) == set(SIZES)


def test_every_drawing_of_the_sites_own_is_shipped() -> None:
    drawings = Path(__file__).resolve().parents[3] / "web" / "emotes"
    drawn = sorted(file.stem for file in drawings.glob("*.svg"))
    assert drawn and drawn == global_set()
    for size in SIZES:
        assert sorted(file.stem for file in (GLOBAL_SET / str(size)).iterdir()) == drawn
        for file in (GLOBAL_SET / str(size)).iterdir():
            with Image.open(file) as image:
                assert image.size == (size, size)
