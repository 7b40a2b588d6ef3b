"""Lines of the server: exactly as Twitch writes them, for its clients are particular."""

from __future__ import annotations

from typing import Any

import pytest

from chat import irc, irc_replies
from chat.irc_replies import Person
from core.errors import Forbidden, RateLimited

ID = "0d3f0f2e-52c8-4cc9-a9f0-0f6f6c9c5d11"
BOT = Person("9", "bot", "Bot", "#8A2BE2", ("moderator/1",))
USER = {"id": "3", "login": "ann", "name": "Ann; B", "color": "", "badges": ["vip/1"]}
AT = 1_700_000_000_000
TS = "2023-11-14T22:13:20.000Z"


def lines(event: dict[str, Any]) -> list[str]:
    return [message.line() for message in irc_replies.happened({"channel": "ch", **event}, "1", AT)]


def test_the_greeting() -> None:
    greeting = [message.line() for message in irc_replies.welcome("bot")]
    assert greeting[0] == ":tmi.twitch.tv 001 bot :Welcome, GLHF!"
    assert greeting[-1] == ":tmi.twitch.tv 376 bot :>"
    assert [line.split()[1] for line in greeting] == [
        "001",
        "002",
        "003",
        "004",
        "375",
        "372",
        "376",
    ]


def test_capabilities_are_all_or_nothing() -> None:
    answer, on = irc_replies.capabilities((irc.TAGS, irc.COMMANDS))
    assert answer.line() == ":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands"
    assert on == (irc.TAGS, irc.COMMANDS)
    answer, on = irc_replies.capabilities((irc.TAGS, "sasl"))
    assert answer.line() == ":tmi.twitch.tv CAP * NAK :twitch.tv/tags sasl"
    assert on == ()
    assert irc_replies.capabilities(None)[0].params[1] == "LS"


def test_who_one_is() -> None:
    plain = Person("9", "bot", "Bot", "")
    assert irc_replies.global_user_state(plain).line() == (
        "@badge-info=;badges=;color=;display-name=Bot;emote-sets=0;user-id=9;user-type= "
        ":tmi.twitch.tv GLOBALUSERSTATE"
    )
    assert irc_replies.user_state("ch", BOT).line() == (
        "@badge-info=;badges=moderator/1;color=#8A2BE2;display-name=Bot;mod=1;subscriber=0;"
        "user-type=mod;emote-sets=0;user-id=9 :tmi.twitch.tv USERSTATE #ch"
    )


def test_a_rooms_state() -> None:
    modes = {
        "slow_s": 0, "followers_min": None, "subscribers_only": False,
        "emote_only": False, "unique_chat": False, "delay_s": 2,
    }  # fmt: skip
    whole = irc_replies.room_state("ch", "1", modes)
    assert whole is not None and whole.line() == (
        "@emote-only=0;followers-only=-1;r9k=0;slow=0;subs-only=0;room-id=1 "
        ":tmi.twitch.tv ROOMSTATE #ch"
    )
    assert irc_replies.room_state("ch", "1", {"delay_s": 2}) is None


def test_joining() -> None:
    assert [message.line() for message in irc_replies.joined("ch", "bot")] == [
        ":bot!bot@bot.tmi.twitch.tv JOIN #ch",
        ":bot.tmi.twitch.tv 353 bot = #ch :bot",
        ":bot.tmi.twitch.tv 366 bot #ch :End of /NAMES list",
    ]


def test_a_message() -> None:
    event = {
        "type": "message", "id": ID, "user": USER, "text": "Kappa hi Kappa", "ts": TS, "first": True,
        "emotes": [
            {"id": "25", "code": "Kappa", "start": 0, "end": 4},
            {"id": "25", "code": "Kappa", "start": 9, "end": 13},
        ],
    }  # fmt: skip
    assert lines(event) == [
        "@badge-info=;badges=vip/1;color=;display-name=Ann\\:\\sB;emotes=25:0-4,9-13;first-msg=1;"
        f"flags=;id={ID};mod=0;returning-chatter=0;room-id=1;subscriber=0;tmi-sent-ts={AT};turbo=0;"
        "user-id=3;user-type=;vip=1 :ann!ann@ann.tmi.twitch.tv PRIVMSG #ch :Kappa hi Kappa"
    ]


def test_an_action_and_a_reply() -> None:
    parent = {"id": ID, "user": {"id": "4", "login": "ben", "name": "Ben"}, "text": "what?"}
    event = {
        "type": "message",
        "id": ID,
        "user": USER,
        "text": "nods",
        "kind": "action",
        "reply_to": parent,
    }
    (line,) = lines(event)
    assert line.endswith(" PRIVMSG #ch :\x01ACTION nods\x01")
    for tag in (
        f"reply-parent-msg-id={ID}", "reply-parent-user-login=ben", "reply-parent-user-id=4",
        "reply-parent-display-name=Ben", "reply-parent-msg-body=what?",
    ):  # fmt: skip
        assert tag in line


def test_an_announcement() -> None:
    event = {
        "type": "message",
        "id": ID,
        "user": USER,
        "text": "hear",
        "kind": "announcement",
        "color": "blue",
    }
    (line,) = lines(event)
    assert line.endswith(":tmi.twitch.tv USERNOTICE #ch :hear")
    assert "msg-id=announcement;msg-param-color=BLUE;" in line


def test_a_raid() -> None:
    raid = {"from": {"login": "ann", "name": "Ann"}, "viewers": 430}
    (line,) = lines(
        {"type": "message", "id": ID, "user": USER, "text": "", "kind": "raid", "raid": raid}
    )
    assert line.endswith(" :tmi.twitch.tv USERNOTICE #ch")
    assert (
        "msg-id=raid;msg-param-displayName=Ann;msg-param-login=ann;msg-param-viewerCount=430;"
        in line
    )
    assert "system-msg=430\\sraiders\\sfrom\\sAnn\\shave\\sjoined!;" in line


def test_what_moderators_do() -> None:
    user = {"id": "2", "login": "ben"}
    assert lines({"type": "cleared", "user": user, "duration_s": 600}) == [
        f"@ban-duration=600;room-id=1;target-user-id=2;tmi-sent-ts={AT} :tmi.twitch.tv CLEARCHAT #ch :ben"
    ]
    assert lines({"type": "cleared", "user": user}) == [
        f"@room-id=1;target-user-id=2;tmi-sent-ts={AT} :tmi.twitch.tv CLEARCHAT #ch :ben"
    ]
    assert lines({"type": "cleared"}) == [
        f"@room-id=1;tmi-sent-ts={AT} :tmi.twitch.tv CLEARCHAT #ch"
    ]
    assert lines({"type": "deleted", "id": ID, "user": user, "text": "oh no"}) == [
        f"@login=ben;room-id=;target-msg-id={ID};tmi-sent-ts={AT} :tmi.twitch.tv CLEARMSG #ch :oh no"
    ]


@pytest.mark.parametrize(
    ("changed", "code", "state"),
    [
        ({"slow_s": 10}, "slow_on", "slow=10"),
        ({"slow_s": 0}, "slow_off", "slow=0"),
        ({"followers_min": 30}, "followers_on", "followers-only=30"),
        ({"followers_min": 0}, "followers_on_zero", "followers-only=0"),
        ({"followers_min": None}, "followers_off", "followers-only=-1"),
        ({"subscribers_only": True}, "subs_on", "subs-only=1"),
        ({"emote_only": False}, "emote_only_off", "emote-only=0"),
        ({"unique_chat": True}, "r9k_on", "r9k=1"),
    ],
)
def test_a_mode_changes(changed: dict[str, Any], code: str, state: str) -> None:
    notice, partial = lines({"type": "settings", "settings": changed})
    assert notice.startswith(f"@msg-id={code} :tmi.twitch.tv NOTICE #ch :This room is")
    assert partial == f"@{state};room-id=1 :tmi.twitch.tv ROOMSTATE #ch"


def test_several_modes_change_at_once() -> None:
    states = lines(
        {"type": "settings", "settings": {"slow_s": 5, "subscribers_only": True, "delay_s": 2}}
    )
    assert [line.split()[2] for line in states] == ["NOTICE", "ROOMSTATE"] * 2
    assert not any("slow=" in line and "subs-only" in line for line in states)


def test_events_without_a_word_in_irc() -> None:
    for kind in ("viewers", "poll", "held", "mod_log", "me", "pinned", "joined", "pong"):
        assert lines({"type": kind}) == []


def test_a_pong_for_each_taste() -> None:
    assert irc_replies.pong(irc.Ping(None)).line() == "PONG :tmi.twitch.tv"
    assert irc_replies.pong(irc.Ping("abc")).line() == ":tmi.twitch.tv PONG tmi.twitch.tv :abc"


def test_a_failed_login_is_word_for_word() -> None:
    assert irc_replies.LOGIN_FAILED.line() == ":tmi.twitch.tv NOTICE * :Login unsuccessful"


def test_refusals_carry_twitchs_codes_and_the_wait() -> None:
    slow = RateLimited("Slow mode is on.", retry_after=4.4, code="msg_slowmode")
    assert irc_replies.refusal("ch", slow).line() == (
        "@msg-id=msg_slowmode :tmi.twitch.tv NOTICE #ch :Slow mode is on. Wait 4 s."
    )
    assert irc_replies.refusal("ch", Forbidden("No.", code="suspended")).tags == {
        "msg-id": "msg_suspended"
    }
