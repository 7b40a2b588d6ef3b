"""What may be said and done, by table and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.room import (
    MESSAGE_LENGTH,
    RATE,
    RATE_MODERATOR,
    Facts,
    Modes,
    Rank,
    Speech,
    Standing,
    User,
    Verdict,
    clean,
    default_color,
    gate_of,
    judge,
    may_bar,
    may_delete,
)
from core.errors import DomainError

NOW = 1_700_000_000.0
ANN = User(7, "ann", "Ann", "#FF0000")
standings = st.builds(
    Standing,
    rank=st.sampled_from(Rank),
    banned=st.booleans(),
    timed_out_until=st.none() | st.floats(NOW - 100, NOW + 100),
    warning=st.none() | st.just("be kind"),
    follows_since=st.none() | st.floats(NOW - 1e7, NOW),
    subscriber=st.booleans(),
    suspended=st.booleans(),
    restricted=st.booleans(),
)
modes = st.builds(
    Modes,
    slow_s=st.sampled_from((0, 3, 120)),
    followers_min=st.none() | st.integers(0, 129_600),
    subscribers_only=st.booleans(),
    emote_only=st.booleans(),
    unique_chat=st.booleans(),
)
verdicts = st.builds(
    Verdict,
    held=st.none() | st.just("automod"),
    refused=st.none() | st.just("msg_rejected_mandatory"),
)
speeches = st.builds(Speech, st.text(max_size=600), st.booleans(), st.booleans())


@given(standings, modes, speeches, verdicts, st.booleans())
def test_nobody_who_is_barred_is_heard(
    standing: Standing, mode: Modes, speech: Speech, verdict: Verdict, suspended: bool
) -> None:
    facts = Facts(ANN, standing, mode, suspended)
    try:
        accepted = judge(facts, speech, verdict, NOW)
    except DomainError as error:
        assert error.code
        return
    assert not suspended
    assert not standing.suspended
    assert 0 < len(accepted.text) <= MESSAGE_LENGTH
    if standing.rank < Rank.BROADCASTER:
        assert not standing.banned
        assert standing.warning is None
        assert standing.timed_out_until is None or standing.timed_out_until <= NOW
        assert accepted.gate.barrable
    if standing.rank < Rank.MODERATOR:
        assert verdict.refused is None
        assert accepted.held == (verdict.held or ("suspicious" if standing.restricted else None))
        assert accepted.gate.rate == RATE
        assert accepted.gate.unique == mode.unique_chat
        assert not (mode.emote_only and not speech.emotes_only)
    else:
        assert accepted.held is None
        assert accepted.gate.rate == RATE_MODERATOR
        assert not accepted.gate.unique
    if standing.rank < Rank.VIP:
        assert accepted.gate.slow_s == mode.slow_s
        assert not (mode.subscribers_only and not standing.subscriber)
        if mode.followers_min is not None:
            assert standing.follows_since is not None
            assert standing.follows_since + mode.followers_min * 60 <= NOW
    else:
        assert accepted.gate.slow_s == 0


@pytest.mark.parametrize(
    ("standing", "mode", "text", "code"),
    [
        (Standing(banned=True, warning="x"), Modes(), "hi", "msg_banned"),
        (Standing(timed_out_until=NOW + 5), Modes(), "hi", "msg_timedout"),
        (Standing(warning="x"), Modes(), "x" * 501, "warning_unacknowledged"),
        (Standing(), Modes(followers_min=0), "x" * 501, "message_too_long"),
        (Standing(), Modes(followers_min=0), "", "message_empty"),
        (Standing(), Modes(followers_min=0), "hi", "msg_followersonly_zero"),
        (Standing(), Modes(followers_min=10, subscribers_only=True), "hi", "msg_followersonly"),
        (
            Standing(follows_since=NOW - 60),
            Modes(followers_min=10),
            "hi",
            "msg_followersonly_followed",
        ),
        (Standing(), Modes(subscribers_only=True, emote_only=True), "hi", "msg_subsonly"),
        (
            Standing(rank=Rank.VIP),
            Modes(subscribers_only=True, emote_only=True),
            "hi",
            "msg_emoteonly",
        ),
        (Standing(suspended=True, banned=True), Modes(), "hi", "suspended"),
    ],
)
def test_the_first_rule_that_is_broken_is_told(
    standing: Standing, mode: Modes, text: str, code: str
) -> None:
    with pytest.raises(DomainError) as refused:
        judge(Facts(ANN, standing, mode), Speech(text), Verdict(), NOW)
    assert refused.value.code == code


def test_waits_are_told() -> None:
    standing = Standing(follows_since=NOW - 60)
    with pytest.raises(DomainError) as refused:
        judge(Facts(ANN, standing, Modes(followers_min=10)), Speech("hi"), Verdict(), NOW)
    assert refused.value.retry_after == 540
    with pytest.raises(DomainError) as refused:
        judge(Facts(ANN, Standing(timed_out_until=NOW + 5), Modes()), Speech("hi"), Verdict(), NOW)
    assert refused.value.retry_after == 5


def test_the_broadcaster_cannot_be_kept_out() -> None:
    standing = Standing(rank=Rank.BROADCASTER, banned=True, timed_out_until=NOW + 5)
    accepted = judge(Facts(ANN, standing, Modes(slow_s=30)), Speech("hi"), Verdict(), NOW)
    assert not accepted.gate.barrable


@given(st.sampled_from(Rank), st.sampled_from(Rank), st.booleans())
def test_nobody_bars_their_equals_or_betters(actor: Rank, target: Rank, same: bool) -> None:
    if actor < Rank.MODERATOR:
        return
    try:
        may_bar(1, actor, 1 if same else 2, target, "ban")
    except DomainError as error:
        assert error.code in ("bad_ban_self", "bad_ban_mod", "bad_ban_broadcaster")
        return
    assert not same
    assert target < Rank.BROADCASTER
    assert target < actor


@pytest.mark.parametrize(
    ("author", "rank", "author_rank", "age_s", "code"),
    [
        (2, Rank.MODERATOR, Rank.VIEWER, 0, None),
        (2, Rank.MODERATOR, Rank.VIEWER, 6 * 3600 + 1, "bad_delete_message_error"),
        (2, Rank.MODERATOR, Rank.BROADCASTER, 0, "bad_delete_message_broadcaster"),
        (2, Rank.MODERATOR, Rank.MODERATOR, 0, "bad_delete_message_mod"),
        (1, Rank.MODERATOR, Rank.MODERATOR, 0, None),
        (2, Rank.BROADCASTER, Rank.MODERATOR, 0, None),
    ],
)
def test_which_messages_may_be_deleted(
    author: int, rank: Rank, author_rank: Rank, age_s: float, code: str | None
) -> None:
    try:
        may_delete(1, author, author_rank, rank, age_s)
    except DomainError as error:
        assert error.code == code
    else:
        assert code is None


@given(st.text())
def test_a_clean_text_has_one_line_and_nothing_invisible_at_its_ends(text: str) -> None:
    cleaned = clean(text)
    assert not any(char < " " or char == "\x7f" for char in cleaned)
    assert cleaned == cleaned.strip()
    assert clean(cleaned) == cleaned


def test_colours_stay() -> None:
    assert default_color(7) == default_color(7)
    assert gate_of(Facts(ANN, Standing(), Modes(slow_s=30))).slow_s == 30
