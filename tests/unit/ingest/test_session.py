"""The session machine: its rules one by one, then against shuffled, doubled and lost hooks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.session import (
    Admitted,
    Changed,
    Connection,
    Detach,
    Drop,
    Effect,
    EndReason,
    Phase,
    Policy,
    Refusal,
    Refused,
    Session,
    Sessions,
    Silent,
    TakenOver,
)

CHANNEL = 7
KEY = 70
POLICY = Policy(grace_s=60, settle_s=0.1, start_timeout_s=15, hold_after_end_s=15)


def conn(client: int, boot: str = "b1") -> Connection:
    return Connection(boot, client)


def machine(policy: Policy = POLICY) -> Sessions:
    ids = itertools.count(1)
    names = itertools.count(1)
    return Sessions(policy, lambda: f"s{next(ids)}", lambda sid: f"{sid}-{next(names)}")


def admit(m: Sessions, client: int, now: float, order: int = 0, channel: int = CHANNEL) -> Admitted:
    got = m.admit(conn(client), channel, KEY, order or client * 10, now)
    assert isinstance(got, Admitted)
    return got


def live(m: Sessions, client: int = 1, now: float = 0.0) -> Session:
    got = admit(m, client, now)
    m.media(got.publisher.name)
    assert got.session.phase is Phase.LIVE
    return got.session


def changes(effects: list[Effect]) -> list[tuple[Phase | None, Phase]]:
    return [(e.before, e.after) for e in effects if isinstance(e, Changed)]


def test_a_publish_goes_live_with_its_first_media() -> None:
    m = machine()
    got = admit(m, 1, now=0)
    assert changes(got.effects) == [(None, Phase.CONNECTING)]
    assert changes(m.media(got.publisher.name)) == [(Phase.CONNECTING, Phase.LIVE)]
    assert m.media(got.publisher.name) == []
    assert m.next_deadline() is None


def test_done_before_disconnect_is_a_stop() -> None:
    m = machine()
    session = live(m)
    assert changes(m.publish_done(conn(1), 11, 5)) == [(Phase.LIVE, Phase.CLOSING)]
    effects = m.disconnect(conn(1), 12, 5.01)
    assert isinstance(effects[0], Detach)
    assert changes(effects) == [(Phase.CLOSING, Phase.ENDED)]
    assert session.end_reason is EndReason.STOPPED
    assert m.running() == []


def test_done_alone_is_a_stop_once_it_has_settled() -> None:
    m = machine()
    live(m)
    m.publish_done(conn(1), 11, 5)
    assert m.tick(5.05) == []
    assert changes(m.tick(5.1)) == [(Phase.CLOSING, Phase.ENDED)]


def test_disconnect_before_done_is_a_cut() -> None:
    m = machine()
    session = live(m)
    assert changes(m.disconnect(conn(1), 11, 5)) == [(Phase.LIVE, Phase.RECONNECTING)]
    assert m.publish_done(conn(1), 12, 5) == []
    assert m.tick(64.9) == []
    assert changes(m.tick(65)) == [(Phase.RECONNECTING, Phase.ENDED)]
    assert session.end_reason is EndReason.GRACE_OVER


def test_a_cut_whose_hooks_overtook_each_other_is_still_a_cut() -> None:
    m = machine()
    live(m)
    m.publish_done(conn(1), 12, 5)
    assert changes(m.disconnect(conn(1), 11, 5.02)) == [(Phase.CLOSING, Phase.RECONNECTING)]


def test_a_reconnect_inside_the_grace_window_is_the_same_session() -> None:
    m = machine()
    session = live(m)
    m.disconnect(conn(1), 11, 5)
    got = admit(m, 2, now=64)
    assert got.session is session
    assert changes(got.effects) == [(Phase.RECONNECTING, Phase.RESUMING)]
    assert changes(m.media(got.publisher.name)) == [(Phase.RESUMING, Phase.LIVE)]
    assert session.cut_at is None


def test_a_reconnect_after_the_grace_window_is_a_new_session() -> None:
    m = machine()
    session = live(m)
    m.disconnect(conn(1), 11, 5)
    m.tick(66)
    assert admit(m, 2, now=66).session is not session


def test_a_reconnect_that_delivers_nothing_buys_no_time() -> None:
    m = machine()
    session = live(m)
    m.disconnect(conn(1), 11, 5)
    got = admit(m, 2, now=60)
    effects = m.tick(75)
    assert effects[:2] == [Drop(got.publisher.name, "no_media"), Silent(session)]
    assert changes(effects) == [(Phase.RESUMING, Phase.RECONNECTING)]
    assert session.deadline == 65
    assert changes(m.tick(75)) == [(Phase.RECONNECTING, Phase.ENDED)]


def test_the_newest_publisher_takes_over_and_the_old_ones_hooks_change_nothing() -> None:
    m = machine()
    session = live(m)
    old = session.publisher
    assert old
    got = admit(m, 2, now=10)
    assert got.session is session
    assert got.effects[0] == Drop(old.name, "taken_over")
    assert isinstance(got.effects[1], Detach)
    assert any(isinstance(e, TakenOver) and e.old is old for e in got.effects)
    m.media(got.publisher.name)
    assert m.disconnect(conn(1), 31, 11) == []
    assert m.publish_done(conn(1), 32, 11) == []
    assert session.phase is Phase.LIVE


def test_after_three_takeovers_in_a_minute_the_incumbent_stays() -> None:
    m = machine()
    session = live(m)
    for client, now in ((2, 10), (3, 20), (4, 30)):
        m.media(admit(m, client, now=now).publisher.name)
    assert m.admit(conn(5), CHANNEL, KEY, 50, 40) == Refused(Refusal.TAKEOVERS)
    assert session.publisher and session.publisher.connection == conn(4)
    assert isinstance(m.admit(conn(6), CHANNEL, KEY, 60, 70.1), Admitted)


def test_a_repeated_publish_hook_gets_the_same_answer() -> None:
    m = machine()
    first = admit(m, 1, now=0)
    again = m.admit(conn(1), CHANNEL, KEY, 10, 0.1)
    assert isinstance(again, Admitted) and again.repeat
    assert again.publisher is first.publisher and again.effects == []


def test_a_publish_hook_that_comes_after_its_own_end_is_refused() -> None:
    m = machine()
    m.publish_done(conn(1), 12, 0)
    assert m.admit(conn(1), CHANNEL, KEY, 11, 0.1) == Refused(Refusal.STALE)
    m.disconnect(conn(2), 13, 0)
    assert m.admit(conn(2), CHANNEL, KEY, 99, 0.1) == Refused(Refusal.STALE)


def test_one_connection_may_publish_stop_and_publish_again() -> None:
    m = machine()
    first = live(m)
    m.publish_done(conn(1), 11, 5)
    got = m.admit(conn(1), CHANNEL, KEY, 12, 5.01)
    # It is still attached while its stop settles: a stop at once, then a new session.
    assert isinstance(got, Admitted)
    assert got.session is not first
    assert first.end_reason is EndReason.STOPPED


def test_a_stop_followed_by_a_start_is_a_new_session_even_before_it_settled() -> None:
    m = machine()
    first = live(m)
    m.publish_done(conn(1), 11, 5)
    got = admit(m, 2, now=5.01)
    assert got.session is not first
    assert changes(got.effects) == [(Phase.CLOSING, Phase.ENDED), (None, Phase.CONNECTING)]


def test_a_session_that_never_played_leaves_no_grace_window() -> None:
    m = machine()
    session = admit(m, 1, now=0).session
    assert changes(m.disconnect(conn(1), 11, 1)) == [(Phase.CONNECTING, Phase.ENDED)]
    assert session.end_reason is EndReason.NEVER_STARTED


def test_stat_cuts_a_publisher_that_is_gone_after_two_polls() -> None:
    m = machine()
    session = live(m)
    assert m.stat("b1", {}, asked_at=3, now=3) == []
    assert changes(m.stat("b1", {}, asked_at=6, now=6)) == [(Phase.LIVE, Phase.RECONNECTING)]
    assert session.deadline == 66


def test_stat_seeing_the_publisher_again_forgets_the_miss() -> None:
    m = machine()
    session = live(m)
    assert session.publisher
    there = {session.publisher.name: 1}
    m.stat("b1", {}, asked_at=3, now=3)
    m.stat("b1", there, asked_at=6, now=6)
    assert m.stat("b1", {}, asked_at=9, now=9) == []


@pytest.mark.parametrize("phase", [Phase.LIVE, Phase.CONNECTING])
def test_a_restarted_nginx_cuts_at_once(phase: Phase) -> None:
    m = machine()
    session = live(m) if phase is Phase.LIVE else admit(m, 1, now=0).session
    effects = m.stat("b2", {"x": 1}, asked_at=3, now=3)
    assert session.publisher is None
    assert Drop("x", "unknown_publisher") in effects


def test_stat_asked_before_the_publish_says_nothing_about_it() -> None:
    m = machine()
    live(m, now=5)
    assert m.stat("b2", {}, asked_at=4.9, now=6) == []


@pytest.mark.parametrize("boot", [None, "b1", "b2"])
def test_media_that_flow_are_believed_before_any_list(boot: str | None) -> None:
    m = machine()
    session = live(m)
    assert session.publisher
    flowing = {session.publisher.name}
    for poll in range(1, 9):
        assert m.stat(boot, {}, asked_at=poll, now=poll, flowing=flowing) == []
    m.stat(boot, {}, asked_at=10, now=10)
    m.stat(boot, {}, asked_at=13, now=13)
    assert session.phase is Phase.RECONNECTING


def test_end_stream_drops_ends_and_holds_the_encoder_off() -> None:
    m = machine()
    session = live(m)
    assert session.publisher
    name = session.publisher.name
    effects = m.end(CHANNEL, EndReason.ENDED_BY_OWNER, 10)
    assert effects[0] == Drop(name, "ended_by_owner")
    assert changes(effects) == [(Phase.LIVE, Phase.ENDED)]
    # An encoder that redials is kept out for as long as it does not pause.
    assert m.admit(conn(2), CHANNEL, KEY, 20, 12) == Refused(Refusal.HELD)
    assert m.admit(conn(3), CHANNEL, KEY, 30, 26) == Refused(Refusal.HELD)
    assert isinstance(m.admit(conn(4), CHANNEL, KEY, 40, 42), Admitted)


def test_end_stream_in_the_grace_window() -> None:
    m = machine()
    live(m)
    m.disconnect(conn(1), 11, 5)
    effects = m.end(CHANNEL, EndReason.ENDED_BY_OWNER, 6)
    assert changes(effects) == [(Phase.RECONNECTING, Phase.ENDED)]
    assert m.end(CHANNEL, EndReason.ENDED_BY_OWNER, 7) == []


def test_a_revoked_key_ends_only_the_session_that_uses_it() -> None:
    m = machine()
    session = live(m)
    other = m.admit(conn(9), 8, 80, 90, 0)
    assert isinstance(other, Admitted)
    m.revoke(KEY, 5)
    assert session.end_reason is EndReason.KEY_REVOKED
    assert m.running() == [other.session]


def test_an_adopted_session_goes_on() -> None:
    m = machine()
    before = live(machine())
    m.adopt(before)
    assert before.publisher
    assert m.of_name(before.publisher.name) is before
    assert changes(m.disconnect(conn(1), 11, 5)) == [(Phase.LIVE, Phase.RECONNECTING)]


# Shuffled, doubled and lost hooks


@dataclass(frozen=True)
class Hook:
    kind: str
    client: int
    order: int
    at: float


@st.composite
def broadcasts(draw: st.DrawFn) -> tuple[list[Hook], list[bool]]:
    """Publishers of one channel in turn; each stops or is cut, some are taken over by the next.

    Returns the hooks as they arrive (delayed by up to 90 ms, some doubled) and, per publisher,
    whether it stopped.
    """
    hooks: list[Hook] = []
    stopped: list[bool] = []
    order = 0
    at = 0.0
    for client in range(1, draw(st.integers(1, 6)) + 1):
        at += draw(st.floats(1, 30))
        order += 1
        hooks.append(Hook("publish", client, order, at))
        stop = draw(st.booleans())
        stopped.append(stop)
        # The end of one may come after the publish of the next: a frozen connection.
        end = at + draw(st.floats(0.5, 40))
        for kind in ("done", "disconnect") if stop else ("disconnect", "done"):
            order += 1
            hooks.append(Hook(kind, client, order, end))
    # nginx numbers its loopback connections in the order of its calls.
    hooks.sort(key=lambda h: (h.at, h.order))
    hooks = [Hook(h.kind, h.client, n, h.at) for n, h in enumerate(hooks, start=1)]
    arriving: list[Hook] = []
    for hook in hooks:
        for _ in range(draw(st.integers(1, 2))):
            delay = draw(st.floats(0, 0.09))
            arriving.append(Hook(hook.kind, hook.client, hook.order, hook.at + delay))
    arriving.sort(key=lambda h: h.at)
    return arriving, stopped


def check(m: Sessions, ended: dict[str, int], effects: list[Effect]) -> None:
    for effect in effects:
        if isinstance(effect, Changed) and effect.after is Phase.ENDED:
            ended[effect.session.id] = ended.get(effect.session.id, 0) + 1
            assert effect.session.publisher is None
            assert effect.session.end_reason is not None
    for session in m.running():
        attached = session.publisher is not None
        assert attached == (session.phase is not Phase.RECONNECTING)
        assert session.phase is not Phase.ENDED
        assert session.deadline is not None or session.phase is Phase.LIVE
        if session.publisher:
            assert m.of_connection(session.publisher.connection) is session
    assert all(n == 1 for n in ended.values()), "a session ends once"


def run(m: Sessions, hooks: list[Hook], ended: dict[str, int]) -> dict[int, Session]:
    """Feed the hooks as they arrive, ticking at every deadline; media follows each admission."""
    owner: dict[int, Session] = {}
    for hook in hooks:
        while (due := m.next_deadline()) is not None and due <= hook.at:
            check(m, ended, m.tick(due))
        if hook.kind == "publish":
            got = m.admit(conn(hook.client), CHANNEL, KEY, hook.order, hook.at)
            if isinstance(got, Admitted):
                check(m, ended, got.effects)
                owner[hook.client] = got.session
                check(m, ended, m.media(got.publisher.name))
        elif hook.kind == "done":
            check(m, ended, m.publish_done(conn(hook.client), hook.order, hook.at))
        else:
            check(m, ended, m.disconnect(conn(hook.client), hook.order, hook.at))
    return owner


@settings(max_examples=400, deadline=None)
@given(broadcasts())
def test_doubled_and_reordered_hooks_tell_stop_from_cut(
    case: tuple[list[Hook], list[bool]],
) -> None:
    hooks, stopped = case
    m = machine(Policy(grace_s=60, max_takeovers=100))
    ended: dict[str, int] = {}
    owner = run(m, hooks, ended)
    at = hooks[-1].at
    while (due := m.next_deadline()) is not None:
        at = max(at, due)
        check(m, ended, m.tick(at))
    assert m.running() == [], "every session ends by its grace window"
    last = max(owner)
    session = owner[last]
    if session.started:
        want = EndReason.STOPPED if stopped[last - 1] else EndReason.GRACE_OVER
        assert session.end_reason is want


@settings(max_examples=400, deadline=None)
@given(broadcasts(), st.data())
def test_lost_hooks_leave_no_ghost(
    case: tuple[list[Hook], list[bool]], data: st.DataObject
) -> None:
    hooks, _ = case
    kept = [h for h in hooks if h.kind == "publish" or data.draw(st.booleans())]
    m = machine(Policy(grace_s=60, max_takeovers=100))
    ended: dict[str, int] = {}
    run(m, kept, ended)
    # nginx has nobody left; the reconciler sees that at its next two polls.
    at = kept[-1].at + 1
    for _ in range(2):
        at += 3
        check(m, ended, m.tick(at))
        check(m, ended, m.stat("b1", {}, asked_at=at, now=at))
    check(m, ended, m.tick(at + 60))
    assert m.running() == []
