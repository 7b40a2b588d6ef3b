"""Tokens in the path of a video that not everybody may watch."""

from __future__ import annotations

from core.media_tokens import media_token


def test_the_form_is_what_the_edge_checks() -> None:
    # Computed with: printf 'vod|42|1767225600' | openssl dgst -sha256 -hmac kkk… -binary | basenc --base64url
    assert media_token(b"k" * 32, 42, 1767225600) == (
        "1767225600.42.OB3xTkq3JBgVrnOgSsIViDMHQfZOtkNr2TiR6C2G5bg"
    )


def test_it_is_of_one_video_and_one_time() -> None:
    tokens = {media_token(key, *what) for key in (b"a", b"b") for what in ((1, 2), (2, 2), (1, 3))}
    assert len(tokens) == 6
