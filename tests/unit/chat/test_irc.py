"""IRC lines and what clients say in them: the public parser tests, and cases of our own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parser_tests import data as cases

from chat import irc
from chat.irc import Message
from core.errors import DomainError, Malformed

ID = "0d3f0f2e-52c8-4cc9-a9f0-0f6f6c9c5d11"


def _atoms(atoms: dict[str, Any]) -> Message:
    return Message(
        atoms["verb"],
        tuple(atoms.get("params") or ()),
        atoms.get("source"),
        atoms.get("tags") or {},
    )


@pytest.mark.parametrize("case", cases.msg_split["tests"], ids=lambda case: case["input"][:40])
def test_public_cases_of_splitting(case: dict[str, Any]) -> None:
    assert irc.parse(case["input"]) == _atoms(case["atoms"])


@pytest.mark.parametrize("case", cases.msg_join["tests"], ids=lambda case: case["desc"][:40])
def test_public_cases_of_joining(case: dict[str, Any]) -> None:
    line = _atoms(case["atoms"]).line()
    # A tag without a value is written as Twitch does, with its sign.
    assert line in case["matches"] or line.replace("=;", ";").replace("= ", " ") in case["matches"]


TOKENS = st.from_regex(r"[a-z0-9#][a-z0-9:_#-]{0,9}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40)


@given(
    TOKENS.filter(str.isalnum),
    st.lists(TOKENS, max_size=4),
    TEXTS,
    st.none() | TOKENS,
    st.dictionaries(
        TOKENS, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    ),
)
def test_what_is_written_is_read_again(
    verb: str, middle: list[str], text: str, source: str | None, tags: dict[str, str]
) -> None:
    message = Message(verb, (*middle, text), source, tags)
    assert irc.parse(message.line()) == message


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escapes_come_back(value: str) -> None:
    assert irc.unescape(irc.escape(value)) == value
    assert not set(irc.escape(value)) & set("; \r\n")


@given(st.text(max_size=300))
def test_any_line_is_a_command_or_malformed(line: str) -> None:
    try:
        assert irc.read(line) is not None
    except DomainError as refused:
        assert isinstance(refused, Malformed)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("CAP LS 302", irc.Capabilities(None)),
        ("CAP REQ :twitch.tv/tags twitch.tv/commands", irc.Capabilities((irc.TAGS, irc.COMMANDS))),
        ("CAP REQ twitch.tv/tags", irc.Capabilities((irc.TAGS,))),
        ("CAP END", irc.Nothing()),
        ("CAP", irc.Nothing()),
        ("PASS oauth:flat_1_x", irc.Pass("flat_1_x")),
        ("PASS SCHMOOPIIE", irc.Pass("SCHMOOPIIE")),
        ("NICK Bot_1", irc.Nick("bot_1")),
        ("USER bot 8 * :bot", irc.Nothing()),
        ("JOIN #Ann,#ben,ann,#x", irc.Join(("ann", "ben"))),
        ("JOIN #ann,#ann", irc.Join(("ann",))),
        ("PART #ann", irc.Part(("ann",))),
        ("PRIVMSG #ann :hi  there ", irc.Say("ann", "hi  there ")),
        ("privmsg #ann hi", irc.Say("ann", "hi")),
        ("PRIVMSG #ann ::)", irc.Say("ann", ":)")),
        ("PRIVMSG #ann :/ban ben", irc.Say("ann", "/ban ben")),
        ("PRIVMSG #ann :\x01ACTION waves\x01", irc.Say("ann", "/me waves")),
        ("PRIVMSG #ann :\x01ACTION waves", irc.Say("ann", "/me waves")),
        ("PRIVMSG ann :psst", irc.Nothing()),
        (f"@reply-parent-msg-id={ID};x PRIVMSG #ann :yes", irc.Say("ann", "yes", ID)),
        ("PING", irc.Ping(None)),
        ("PING :tmi.twitch.tv", irc.Ping("tmi.twitch.tv")),
        ("PONG :tmi.twitch.tv", irc.Nothing()),
        ("QUIT :bye", irc.Quit()),
        ("WHOIS ann", irc.Unknown("WHOIS")),
    ],
)
def test_a_command_is_read(line: str, command: irc.Command) -> None:
    assert irc.read(line) == command


@pytest.mark.parametrize(
    "line", ["", " ", "@a=b", ":source", "NICK", "NICK !!", "PRIVMSG #ann", "JOIN"]
)
def test_a_line_that_is_wrong(line: str) -> None:
    with pytest.raises(Malformed):
        irc.read(line)


def test_who_only_reads() -> None:
    assert irc.Nick("justinfan123").anonymous
    assert not irc.Nick("justinfan").anonymous
    assert not irc.Nick("justinfan1x").anonymous


def test_a_token_is_in_no_repr() -> None:
    line = "PASS oauth:flat_1_secret"
    assert "secret" not in repr(irc.read(line)) + repr(irc.parse(line))


def test_a_line_break_cannot_be_smuggled_in() -> None:
    line = Message("NOTICE", ("#a", "x\r\nQUIT\0"), "s", {"a": "b\r\nc"}).line()
    assert line == "@a=b\\r\\nc :s NOTICE #a :xQUIT"


def test_bytes_are_split_into_lines_however_they_come() -> None:
    data = "PING\r\nNICK ä\n\r\nPART".encode()
    for size in range(1, len(data)):
        lines = irc.Lines()
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        found = [line for chunk in chunks for line in lines.feed(chunk)]
        assert found == [b"PING", "NICK ä".encode(), b""]


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_a_line_without_an_end_is_not_kept_for_ever(end: bytes) -> None:
    lines = irc.Lines()
    with pytest.raises(Malformed):
        for _ in range(10):
            lines.feed(b"x" * 1000)
        lines.feed(b"x" * irc.LINE_BYTES + end)
