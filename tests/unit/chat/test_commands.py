"""Command texts: Twitch's names, defaults and limits, and what is said about a wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import commands as c
from core.errors import Invalid

ID = "0d3f0f2e-52c8-4cc9-a9f0-0f6f6c9c5d11"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/me waves ", c.Me("waves")),
        ("/ban ann", c.Ban("ann")),
        ("/ban @Ann,  spam  and more", c.Ban("ann", "spam  and more")),
        (".ban ann", c.Ban("ann")),
        ("/BAN ann", c.Ban("ann")),
        ("/unban ann", c.Unban("ann")),
        ("/untimeout ann", c.Unban("ann", timeout_only=True)),
        ("/timeout ann", c.Timeout("ann", 600)),
        ("/timeout ann 1 ", c.Timeout("ann", 1)),
        ("/timeout ann 600 spam here", c.Timeout("ann", 600, "spam here")),
        ("/timeout ann 1d2h spam", c.Timeout("ann", 93_600, "spam")),
        ("/timeout ann 2w", c.Timeout("ann", 1_209_600)),
        ("/timeout ann spam", c.Timeout("ann", 600, "spam")),
        (f"/delete {ID}", c.Delete(ID)),
        (f"/delete {ID.upper()}", c.Delete(ID)),
        ("/clear", c.Clear()),
        ("/slow", c.Slow(30)),
        ("/slow 120", c.Slow(120)),
        ("/slowoff", c.Slow(0)),
        ("/followers", c.Followers(0)),
        ("/followers 30", c.Followers(30)),
        ("/followers 1 week", c.Followers(10_080)),
        ("/followers 129600", c.Followers(129_600)),
        ("/followersoff", c.Followers(None)),
        ("/subscribers", c.Subscribers(True)),
        ("/subscribersoff", c.Subscribers(False)),
        ("/emoteonly", c.EmoteOnly(True)),
        ("/emoteonlyoff", c.EmoteOnly(False)),
        ("/uniquechat", c.UniqueChat(True)),
        ("/r9kbeta", c.UniqueChat(True)),
        ("/r9kbetaoff", c.UniqueChat(False)),
        ("/shield", c.Shield(True)),
        ("/shieldoff", c.Shield(False)),
        ("/mod ann", c.SetRole("ann", c.Grant.MODERATOR, True)),
        ("/unmod ann", c.SetRole("ann", c.Grant.MODERATOR, False)),
        ("/vip ann", c.SetRole("ann", c.Grant.VIP, True)),
        ("/unvip ann", c.SetRole("ann", c.Grant.VIP, False)),
        ("/mods", c.ListRole(c.Grant.MODERATOR)),
        ("/vips", c.ListRole(c.Grant.VIP)),
        ("/announce hello all", c.Announce("hello all")),
        ("/announcepurple hi", c.Announce("hi", c.AnnouncementColor.PURPLE)),
        ("/warn ann be nice", c.Warn("ann", "be nice")),
        ("/monitor ann", c.MarkUser("ann", c.Mark.MONITORED)),
        ("/restrict ann", c.MarkUser("ann", c.Mark.RESTRICTED)),
        ("/unrestrict ann", c.MarkUser("ann", None)),
        ("/raid ben", c.Raid("ben")),
        ("/unraid", c.Unraid()),
        ("/poll Tea? | Yes | No", c.Poll("Tea?", ("Yes", "No"), 60)),
        ("/poll 2m Tea or  coffee? |Tea|Coffee", c.Poll("Tea or coffee?", ("Tea", "Coffee"), 120)),
        ("/endpoll", c.EndPoll()),
        ("/vote 2", c.Vote(1)),
        (f"/pin {ID}", c.Pin(ID)),
        ("/unpin", c.Unpin()),
        ("/color Blue", c.Color("#0000FF")),
        ("/color hot_pink", c.Color("#FF69B4")),
        ("/color #a0b1c2", c.Color("#A0B1C2")),
        ("/help", c.Help()),
        ("/help /ban", c.Help("ban")),
    ],
)
def test_a_command_is_read(text: str, command: c.Command) -> None:
    assert c.parse(text) == command


@pytest.mark.parametrize("text", ["", "hello", "...", ".", ".5", ". ban ann", " /ban ann", "a /b"])
def test_an_ordinary_text_is_none(text: str) -> None:
    assert c.parse(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/", "unrecognized_cmd"),
        ("/host ben", "unrecognized_cmd"),
        ("/w ann psst", "unrecognized_cmd"),
        ("/me", "usage_me"),
        ("/ban", "usage_ban"),
        ("/ban !!", "invalid_user"),
        ("/ban ünal", "invalid_user"),
        ("/timeout", "usage_timeout"),
        ("/timeout ann 10x spam", "usage_timeout"),
        ("/timeout ann -5", "usage_timeout"),
        ("/timeout ann 0", "bad_timeout_duration"),
        ("/timeout ann 1209601", "bad_timeout_duration"),
        ("/timeout ann 3w", "bad_timeout_duration"),
        ("/delete", "usage_delete"),
        ("/delete 12", "usage_delete"),
        ("/slow 2", "usage_slow_on"),
        ("/slow 300", "usage_slow_on"),
        ("/slow soon", "usage_slow_on"),
        ("/followers 91d", "usage_followers_on"),
        ("/mod", "usage_mod"),
        ("/announce ", "usage_announce"),
        ("/announceblue", "usage_announce"),
        ("/warn ann", "usage_warn"),
        ("/raid", "usage_raid"),
        ("/poll", "usage_poll"),
        ("/poll 5 Tea? | Yes | No", "usage_poll"),
        ("/poll Tea? | Yes", "usage_poll"),
        ("/poll Tea? | Yes | Yes", "usage_poll"),
        ("/poll Tea? | 1 | 2 | 3 | 4 | 5 | 6", "usage_poll"),
        ("/vote 0", "usage_vote"),
        ("/vote 22", "usage_vote"),
        ("/pin hello", "usage_pin"),
        ("/color blueish", "usage_color"),
        ("/color #fff", "usage_color"),
    ],
)
def test_a_wrong_command_says_why(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        c.parse(text)
    assert refused.value.code == code


def test_help_knows_every_command() -> None:
    assert all(f"/{name}" in c.Help().text for name in c.NAMES)
    assert c.Help("r9kbeta").text == "Usage: /uniquechat"
    with pytest.raises(Invalid, match="no command /host"):
        _ = c.Help("host").text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("10m", 600), ("1d2h", 93_600), ("1 week", 604_800), ("2mo", 5_184_000)],
)
def test_durations(text: str, seconds: int) -> None:
    assert c.parse_duration(text, 1) == seconds


@pytest.mark.parametrize("text", ["", "m", "1x", "1d5", "5 10", "१", "1.5h", "10 m m"])
def test_no_durations(text: str) -> None:
    assert c.parse_duration(text, 1) is None


@given(st.sampled_from(c.NAMES), st.text(max_size=80))
def test_any_text_is_a_command_or_a_reason(name: str, rest: str) -> None:
    try:
        assert c.parse(f"/{name} {rest}") is not None
    except Invalid as refused:
        assert refused.code.startswith(("usage_", "bad_", "invalid_user"))
