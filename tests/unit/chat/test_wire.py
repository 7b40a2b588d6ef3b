"""The JSON dialect: what is taken, what is refused, and the frame around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from chat import wire
from core.errors import DomainError

ID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"type":"hello"}', wire.Hello()),
        ('{"type":"hello","token":"t"}', wire.Hello("t")),
        ('{"type":"join","channel":"Ann"}', wire.Join("ann")),
        ('{"type":"join","channel":"ann","since":5,"epoch":"e"}', wire.Join("ann", 5, "e")),
        ('{"type":"part","channel":"ann"}', wire.Part("ann")),
        ('{"type":"say","channel":"ann","text":"hi"}', wire.Say("ann", "hi")),
        (
            f'{{"type":"say","channel":"ann","text":"hi","nonce":"n","reply_to":"{ID}"}}',
            wire.Say("ann", "hi", "n", ID),
        ),
        ('{"type":"ack_warning","channel":"ann"}', wire.AckWarning("ann")),
        ('{"type":"vote","channel":"ann","poll":"3","choice":0}', wire.Vote("ann", 3, 0)),
        ('{"type":"ping","t":1.5}', wire.Ping(1.5)),
        ('{"type":"ping","more":"is ignored"}', wire.Ping()),
    ],
)
def test_commands(text: str, command: wire.Command) -> None:
    assert wire.decode(text.encode()) == command


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_frame"),
        ("[]", "bad_frame"),
        ("[" * 5000, "bad_frame"),
        ('{"type":1}', "unknown_type"),
        ('{"type":"shout"}', "unknown_type"),
        ('{"type":"join"}', "invalid"),
        ('{"type":"join","channel":"a b"}', "invalid"),
        ('{"type":"join","channel":"ann","since":-1}', "invalid"),
        ('{"type":"join","channel":"ann","since":true}', "invalid"),
        ('{"type":"say","channel":"ann"}', "invalid"),
        ('{"type":"say","channel":"ann","text":"x","reply_to":"y"}', "invalid"),
        ('{"type":"vote","channel":"ann","poll":1,"choice":-1}', "invalid"),
        (json.dumps({"type": "say", "channel": "ann", "text": "x" * 9000}), "frame_too_long"),
    ],
)
def test_refusals(text: str, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        wire.decode(text.encode())
    assert refused.value.code == code


def test_half_a_character_is_replaced() -> None:
    command = wire.decode(b'{"type":"say","channel":"ann","text":"a\\ud800b"}')
    assert isinstance(command, wire.Say)
    assert wire.encode({"text": command.text})


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_anything_is_a_command_or_a_refusal(payload: bytes) -> None:
    try:
        wire.decode(payload)
    except DomainError as error:
        assert error.code in ("bad_frame", "unknown_type", "invalid", "frame_too_long")
    wire.encode(wire.context_of(payload))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    (
        "type",
        "channel",
        "text",
        "nonce",
        "reply_to",
        "since",
        "epoch",
        "token",
        "poll",
        "choice",
        "t",
    )
)
kinds = st.sampled_from(("hello", "join", "part", "say", "ack_warning", "vote", "ping"))


@given(kinds, st.dictionaries(names, json_values | st.just("ann")))
def test_frames_of_a_known_type_with_any_content(kind: str, content: dict[str, object]) -> None:
    payload = json.dumps({"channel": "ann", **content, "type": kind}).encode()
    try:
        command = wire.decode(payload)
    except DomainError as error:
        assert error.code in ("invalid", "frame_too_long")
    else:
        assert "token" not in repr(command).lower() or not isinstance(command, wire.Hello)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_frames_are_what_websockets_reads(size: int) -> None:
    reader = StreamReader()
    reader.feed_data(wire.framed(b"x" * size))
    parser = Frame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as done:
        next(parser)
    frame = done.value.value
    assert bytes(frame.data) == b"x" * size
    assert frame.fin
