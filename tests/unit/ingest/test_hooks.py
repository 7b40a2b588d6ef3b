"""Hooks are read strictly: what a publisher can smuggle into them changes nothing."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hooks import MAX_BODY, BadHook, Call, is_name, parse
from ingest.session import Connection

KEY = "live_7_abcdefghijklmnopqrstuvwx"
FIELDS = {
    "app": "live",
    "flashver": "FMLE/3.0 (compatible; FMSc/1.0)",
    "swfurl": "",
    "tcurl": "rtmp://127.0.0.1/live",
    "pageurl": "",
    "addr": "203.0.113.7",
    "clientid": "42",
    "call": "publish",
    "name": KEY,
    "type": "live",
}
BOOT = "a1b2-4711"


def body(**changes: str) -> bytes:
    return urlencode({**FIELDS, **changes}).encode()


def read(data: bytes) -> Call:
    return parse(data, BOOT, "17")


def test_a_publish() -> None:
    call = read(body())
    assert call.connection == Connection(BOOT, 42)
    assert (call.order, call.call, call.name, call.address) == (17, "publish", KEY, "203.0.113.7")


def test_the_key_is_in_no_repr() -> None:
    assert "abcdef" not in repr(read(body()))


@pytest.mark.parametrize("extra", [b"&name=victim", b"&clientid=1", b"&call=update", b"&x=1&x=2"])
def test_a_field_that_comes_twice_is_refused(extra: bytes) -> None:
    with pytest.raises(BadHook):
        read(body() + extra)


def test_nginx_itself_writes_app_twice_in_a_disconnect() -> None:
    assert read(b"app=live&" + body(call="disconnect")).call == "disconnect"
    with pytest.raises(BadHook):
        read(b"app=other&" + body(call="disconnect"))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"x" * (MAX_BODY + 1),
        body(app="other"),
        body(clientid="-1"),
        body(clientid=""),
        body(clientid="1" * 30),
        body(swfurl="x" * 256),
        b"&".join(b"f%d=1" % n for n in range(50)),
        b"",
    ],
)
def test_what_nginx_would_not_send_is_refused(data: bytes) -> None:
    with pytest.raises(BadHook):
        read(data)


@pytest.mark.parametrize(("boot", "order"), [("", "1"), ("a b", "1"), (BOOT, ""), (BOOT, "x")])
def test_only_nginxs_own_location_adds_boot_and_order(boot: str, order: str) -> None:
    with pytest.raises(BadHook):
        parse(body(), boot, order)


@pytest.mark.parametrize(
    "name", ["../etc", "a%2fb", "a/b", "", "a" * 256, "a b", "k\n", "ä", "a.b"]
)
def test_names_off_the_allow_list(name: str) -> None:
    assert not is_name(name)


def test_a_key_is_a_name() -> None:
    assert is_name(KEY)


@given(st.binary(max_size=600), st.text(max_size=20), st.text(max_size=20))
def test_nothing_else_is_ever_raised(data: bytes, boot: str, order: str) -> None:
    try:
        parse(data, boot, order)
    except BadHook:
        pass


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=40)), st.text())
def test_whatever_the_arguments_the_connection_is_nginxs_own(
    arguments: dict[str, str], raw: str
) -> None:
    """Arguments of a publisher come behind nginx's fields, raw."""
    tail = urlencode(arguments).encode() + raw.encode("utf-8", "replace")
    try:
        call = read(body() + b"&" + tail)
    except BadHook:
        return
    assert call.connection == Connection(BOOT, 42)
    assert call.name == KEY
