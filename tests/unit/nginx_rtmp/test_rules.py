"""The blocking rules of RFC 8216bis 6.2.5, as a table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.nginx import LUA
from tests.unit.nginx_rtmp.luajit import LuaJit


@pytest.fixture(scope="module")
def rules() -> Iterator[LuaJit]:
    lua = LuaJit(LUA / "rules.lua")
    yield lua
    lua.close()


def position(
    msn: int, part: int, complete: int, *, part_target: float = 0.2, ended: bool = False
) -> str:
    return (
        f"{{ msn = {msn}, part = {part}, complete_msn = {complete}, part_number = 20, "
        f"part_target = {part_target}, target_duration = 4, ended = {str(ended).lower()} }}"
    )


# In segment 5, part 2 is the last published; 4 is the last complete segment.
OPEN = position(5, 2, 4)
# Segment 5 has just been finished with part 9; 6 has no part yet.
CLOSED = position(5, 9, 5)
# Segment 1 is the session's first and is not complete.
FIRST = position(1, 0, -1)
NOTHING = position(0, -1, -1)
ENDED = position(5, 9, 5, ended=True)
SLOW = position(5, 2, 4, part_target=1.0)
FAST = position(5, 2, 4, part_target=0.1)


@pytest.mark.parametrize(
    ("at", "msn", "part", "expected"),
    [
        (OPEN, None, None, "serve"),
        # _HLS_msn alone waits for the whole segment.
        (OPEN, 0, None, "serve"),
        (OPEN, 4, None, "serve"),
        (OPEN, 5, None, "hold"),
        (OPEN, 6, None, "hold"),
        (OPEN, 7, None, "ahead"),
        (CLOSED, 5, None, "serve"),
        (CLOSED, 6, None, "hold"),
        (CLOSED, 7, None, "hold"),
        (CLOSED, 8, None, "ahead"),
        # With _HLS_part, for that part.
        (OPEN, 5, 0, "serve"),
        (OPEN, 5, 2, "serve"),
        (OPEN, 5, 3, "hold"),
        (OPEN, 4, 0, "serve"),
        (OPEN, 6, 0, "hold"),
        # Past the last part of a finished segment: the next segment's first part.
        (OPEN, 4, 99, "serve"),
        (CLOSED, 5, 9, "serve"),
        (CLOSED, 5, 10, "hold"),
        (CLOSED, 5, 99, "hold"),
        (CLOSED, 6, 0, "hold"),
        # Not more than 3 / part target parts ahead, and not less than 3.
        (OPEN, 5, 17, "hold"),
        (OPEN, 5, 18, "ahead"),
        (OPEN, 6, 14, "hold"),
        (OPEN, 6, 15, "ahead"),
        (SLOW, 5, 5, "hold"),
        (SLOW, 5, 6, "ahead"),
        (FAST, 5, 32, "hold"),
        (FAST, 5, 33, "ahead"),
        (OPEN, 7, 0, "ahead"),
        (CLOSED, 7, 0, "hold"),
        (CLOSED, 8, 0, "ahead"),
        # Before the first segment is complete.
        (FIRST, 1, 0, "serve"),
        (FIRST, 1, 1, "hold"),
        (FIRST, 1, None, "hold"),
        (FIRST, 2, None, "hold"),
        (FIRST, 3, None, "ahead"),
        (NOTHING, 0, 0, "hold"),
        (NOTHING, 0, None, "hold"),
        (NOTHING, 5, None, "ahead"),
        # After the end nothing is awaited.
        (ENDED, 6, None, "serve"),
        (ENDED, 99, 99, "serve"),
    ],
)
def test_decide(rules: LuaJit, at: str, msn: int | None, part: int | None, expected: str) -> None:
    wanted = ["nil" if number is None else str(number) for number in (msn, part)]
    assert rules.run(f"return module.decide({at}, {', '.join(wanted)})") == expected


def stand(lengths: list[int], published: int) -> tuple[int, int, int]:
    """The position (msn, part, complete msn) after ``published`` parts of segments of ``lengths``."""
    msn, part, complete = 1, -1, -1
    for segment, length in enumerate(lengths, start=1):
        for index in range(length):
            if not published:
                return msn, part, complete
            published -= 1
            msn, part = segment, index
            complete = segment if index == length - 1 else complete
    return msn, part, complete


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=4, max_size=8),
    start=st.integers(1, 20),
    msn_ahead=st.integers(-3, 3),
    part=st.none() | st.integers(0, 20),
)
def test_a_request_is_served_exactly_when_its_part_is_there(
    rules: LuaJit, lengths: list[int], start: int, msn_ahead: int, part: int | None
) -> None:
    """Whatever the stream's shape: once held, a request is served with the part that it means."""
    msn = max(1, stand(lengths, start)[0] + msn_ahead)
    wanted = "nil" if part is None else str(part)
    # The part that is meant, counted from the session's start; None where the shape ends before.
    if msn > len(lengths):
        meant = None
    elif part is None:
        meant = sum(lengths[:msn])
    else:
        meant = sum(lengths[: msn - 1]) + min(part, lengths[msn - 1]) + 1
    earlier = ""
    for published in range(start, sum(lengths) + 1):
        at = position(*stand(lengths, published))
        answer = rules.run(f"return module.decide({at}, {msn}, {wanted})")
        if meant is not None and published >= meant:
            assert answer == "serve"
        else:
            assert answer in ("hold", "ahead")
            # Who has been held is never turned away later on.
            assert answer == "hold" or earlier != "hold"
        earlier = answer


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "nil nil nil false"),
        ("_HLS_msn = '7'", "nil 7 nil false"),
        ("_HLS_msn = '007'", "nil 7 nil false"),
        ("_HLS_msn = '7', _HLS_part = '0'", "nil 7 0 false"),
        ("_HLS_msn = '7', _HLS_part = '3', _HLS_skip = 'YES'", "nil 7 3 true"),
        ("_HLS_skip = 'v2'", "nil nil nil true"),
        ("p = 'x', _HLS_report = 'y', foo = true", "nil nil nil false"),
    ],
)
def test_directives(rules: LuaJit, arguments: str, expected: str) -> None:
    source = "local e, m, p, s = module.directives({%s}) return e, m, p, s" % arguments  # noqa: UP031
    joined = f"local function f() {source} end local e, m, p, s = f() "
    assert (
        rules.run(
            joined
            + "return table.concat({tostring(e), tostring(m), tostring(p), tostring(s)}, ' ')"
        )
        == expected
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "_HLS_part = '1'",
        "_HLS_part = '1', _HLS_skip = 'YES'",
        "_HLS_msn = ''",
        "_HLS_msn = true",
        "_HLS_msn = 'abc'",
        "_HLS_msn = '-1'",
        "_HLS_msn = '+1'",
        "_HLS_msn = ' 1'",
        "_HLS_msn = '1.5'",
        "_HLS_msn = '1e3'",
        "_HLS_msn = '0x10'",
        "_HLS_msn = '1\\n'",
        "_HLS_msn = '1234567890123456'",
        "_HLS_msn = {'1', '1'}",
        "_HLS_msn = '1', _HLS_part = 'x'",
        "_HLS_msn = '1', _HLS_part = ''",
        "_HLS_msn = '1', _HLS_part = '-1'",
        "_HLS_msn = '1', _HLS_part = {'1', '2'}",
        "_HLS_skip = ''",
        "_HLS_skip = true",
        "_HLS_skip = 'yes'",
        "_HLS_skip = 'NO'",
        "_HLS_skip = {'YES', 'YES'}",
    ],
)
def test_malformed_directives(rules: LuaJit, arguments: str) -> None:
    assert rules.run(f"return (module.directives({{{arguments}}}))") is not None


@pytest.mark.parametrize(
    ("part_target", "limit"), [(2, 3), (1, 3), (0.5, 6), (0.2, 15), (0.3, 10), (0.33, 10)]
)
def test_advance_part_limit(rules: LuaJit, part_target: float, limit: int) -> None:
    assert rules.run(f"return module.advance_part_limit({part_target})") == str(limit)


@pytest.mark.parametrize(
    ("at", "number", "expected"),
    [(OPEN, 21, "yes"), (OPEN, 20, "no"), (OPEN, 22, "no"), (ENDED, 21, "no")],
)
def test_hinted(rules: LuaJit, at: str, number: int, expected: str) -> None:
    assert rules.run(f"return module.hinted({at}, {number}) and 'yes' or 'no'") == expected
