"""What people may call themselves: tables and properties."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import names
from core.errors import Invalid

ROOT = Path(__file__).resolve().parents[3]
CLEANERS: list[Callable[[str], object]] = [
    names.clean_login,
    names.clean_display_name,
    names.clean_bio,
    names.clean_title,
    names.clean_category,
    names.clean_tag,
    names.clean_language,
    names.clean_key_name,
    names.clean_email,
]


@pytest.mark.parametrize("clean", CLEANERS)
@given(st.text(max_size=400))
def test_cleaning_refuses_or_settles(clean: Callable[[str], object], text: str) -> None:
    """Any text is refused with a field, or taken in a form that cleaning leaves alone and that can
    be stored.
    """
    try:
        cleaned = clean(text)
    except Invalid as error:
        assert error.field
        return
    if cleaned is None:
        return
    assert isinstance(cleaned, str)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c != "\n" for c in cleaned)
    cleaned.encode()


@given(st.text(max_size=60))
def test_logins_are_those_of_the_pattern(text: str) -> None:
    good = re.fullmatch(r"[a-z0-9][a-z0-9_]{2,24}", text, re.ASCII)
    if good and text not in names.RESERVED_LOGINS:
        assert names.clean_login(text) == text
    else:
        with pytest.raises(Invalid):
            names.clean_login(text)


def test_no_first_path_segment_is_a_login() -> None:
    """What the web UI, the edge and the API have as first path segment is reserved."""
    routes = (ROOT / "web/src/lib/routes.ts").read_text()
    pages = re.findall(r"^  '([\w-]+)',$", routes, re.M)
    app = re.findall(r'path="/([a-z]+)', (ROOT / "web/src/app.tsx").read_text())
    template = (ROOT / "nginx-rtmp/edge.conf.template").read_text()
    template, _, internal = template.partition('listen "unix:${INTERNAL_SOCKET}"')
    assert internal
    locations = re.findall(r"location\s+(?:=|\^~|~\*?)?\s*\^?/([a-z0-9_]+)", template)
    assert len(pages) > 10 and app and locations
    segments = {segment for segment in [*pages, *app, *locations] if names.LOGIN.fullmatch(segment)}
    assert segments <= names.RESERVED_LOGINS


def test_reserved_logins_could_otherwise_be_had() -> None:
    possible = {login for login in names.RESERVED_LOGINS if names.LOGIN.fullmatch(login)}
    # The few others are too short, and listed for the case that logins may be shorter one day.
    assert {len(login) for login in names.RESERVED_LOGINS - possible} <= {2}


@pytest.mark.parametrize(
    "text",
    [
        "Zoë",
        "日本語",
        "محمد",
        "עִבְרִית",
        "Tiếng Việt",
        "हिन्दी",
        "🏳️\u200d🌈",
        "👩🏽\u200d💻 Ann",
        "می\u200cخواهم",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "R2-D2!",
    ],
)
def test_names_of_many_scripts(text: str) -> None:
    assert names.clean_display_name(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u3164",
        "\u200b",
        "\u202eabc",
        "a\u2066b",
        "a\x00b",
        "a\nb",
        "\ufeffabc",
        "e" + "\u0301" * 8 + "x",
        "\ud800",
        "...",
        "x" * 41,
        "\U000f0000",
        "\u2800\u2800",
    ],
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(Invalid):
        names.clean_display_name(text)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("Chill", "chill"),
        ("#C++", "c++"),
        ("  Drum  &  Bass ", "drum & bass"),
        ("R&B", "r&b"),
        ("日本語", "日本語"),
        ("rock'n'roll", "rock'n'roll"),
        ("हिन्दी", "हिन्दी"),
        (".net", None),
        ("a/b", None),
        ("<b>", None),
        ("", None),
        ("##x", None),
    ],
)
def test_tags(text: str, tag: str | None) -> None:
    if tag is None:
        with pytest.raises(Invalid):
            names.clean_tag(text)
    else:
        assert names.clean_tag(text) == tag


def test_tags_are_unique_and_counted_after_that() -> None:
    assert names.clean_tags(["A", "a", "#a", "b"]) == ["a", "b"]
    assert len(names.clean_tags(["x"] * 50)) == 1
    with pytest.raises(Invalid):
        names.clean_tags([f"t{n}" for n in range(11)])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Ann@Example.org", "ann@example.org"),
        (" a+b.c@sub.example.org ", "a+b.c@sub.example.org"),
        ("ann@localhost", "ann@localhost"),
        ("ann@exämple.org", "ann@xn--exmple-cua.org"),
        ("ann", None),
        ("ann@", None),
        ("@example.org", None),
        ("a@b@c.d", None),
        ("a b@c.d", None),
        ("a@-b.c", None),
        ("a@b..c", None),
        ("a\r\nBcc: x@y.z@c.d", None),
        ("a,b@c.d", None),
        ("a" * 65 + "@c.d", None),
        ("a@" + "b" * 64 + ".c", None),
        ("a@" + ".".join(["b" * 60] * 5), None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    if address is None:
        with pytest.raises(Invalid):
            names.clean_email(text)
    else:
        assert names.clean_email(text) == address


def test_passwords() -> None:
    assert names.clean_password("  spaces count  ", "ann", "a@b.c") == "  spaces count  "
    # The same password, however the keyboard composes it.
    assert names.clean_password("pa\u0308ssword", "a", "b") == "p\u00e4ssword"
    for bad, code in (
        ("1234567", "password_too_short"),
        ("x" * 129, "password_too_long"),
        ("ANN_LONG", "password_too_easy"),
        ("a@b.cdef", "password_too_easy"),
    ):
        with pytest.raises(Invalid) as refused:
            names.clean_password(bad, "ann_long", "a@b.cdef")
        assert refused.value.code == code
