"""What the end of an encoder means."""

from __future__ import annotations

import pytest

from recorder.transcode import refusal


@pytest.mark.parametrize(
    ("status", "tail", "seconds", "code"),
    [
        (0, "", 10.0, None),
        (0, "", 0.0, "unreadable"),
        (187, "Invalid argument", 0.0, "unreadable"),
        # What there is of a file that ends badly is a video.
        (176, "Error muxing a packet", 10.0, None),
        (-9, "", 10.0, "too_demanding"),
        (255, "Immediate exit requested", 10.0, "too_demanding"),
        (244, "Task finished with error code: -12 (Cannot allocate memory)", 0.0, "too_demanding"),
    ],
)
def test_what_an_encoder_s_end_means(
    status: int, tail: str, seconds: float, code: str | None
) -> None:
    refused = refusal(status, [tail], seconds)
    assert (refused.code if refused else None) == code
