"""How a stretch is cut out of a rendition, exact to the frame at both ends.

Whole segments are referred to where they lie. Of those that an end falls into, what can be decoded by
itself is copied, and only what cannot is encoded anew:

    frames      I p p p p p p p | I p p p p p p p | I p p p p p p p
    the cut             [.........................................]     no keyframe at its beginning
    pieces              | encoded | referred to    | copied      |

A piece keeps the times that its samples have, so that sound and picture go on exactly where the piece
before them ends. Sound is copied frame by frame (AAC), never encoded: an encoder's priming would be
heard as a gap. Its first frame lacks the one it overlaps with, which a decoder renders as a fade-in of
21 ms.

Pure: `plan` is given what was loaded so far, and answers `Missing` with what it needs to see as well.
Times are whole microseconds of the video's media time; a frame is in a cut when it is presented at or
after its start and before its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recorder.cut_run import Run
from recorder.pieces import Anchor, Loaded, Missing, NothingThereError, Piece, Plan, Refer, Slot
from recorder.reel import NeedsError, Reel


def plan(
    slots: Sequence[Slot],
    loaded: Mapping[int, Loaded],
    start: int,
    end: int,
    anchors: Sequence[Anchor] = (),
) -> Plan | Missing:
    """Cut [start, end) out of `slots`. `anchors` are the source rendition's, when this is another.

    Raises NothingThereError.
    """
    if not slots or end <= start:
        raise NothingThereError("there is nothing to cut")
    try:
        return _planned(Reel(slots, loaded, anchors), start, end)
    except NeedsError as needs:
        return Missing(needs.indexes)


def _planned(reel: Reel, start: int, end: int) -> Plan:
    first, last = _first(reel, start, end), _last(reel, end)
    if first > last:
        raise NothingThereError("no frame lies between the ends")
    pieces: list[Piece] = []
    begins: list[int] = []
    anchors: list[Anchor] = []
    lo = first
    while lo <= last:
        hi = min(last, reel.run_end(lo))
        head, tail = lo == first, hi == last
        if head or tail:
            anchors.append(_anchor(reel, lo if head else hi))
        run = Run(reel, (start, end), lo, hi, head=head, tail=tail)
        begins.append(run.cut())
        pieces += run.pieces
        lo = hi + 1
    duration = sum(_duration_of(piece, reel.slots) for piece in pieces)
    return Plan(tuple(pieces), begins[0], duration, tuple(anchors))


def _anchor(reel: Reel, index: int) -> Anchor:
    first, last = reel.run_begin(index), reel.run_end(index)
    return Anchor(reel.slots[first].msn, reel.slots[last].msn, reel.zero(index))


def _near(reel: Reel, time: int) -> int:
    """The slot that `time` falls into, or the nearest."""
    found = [index for index, slot in enumerate(reel.slots) if slot.start <= time]
    return found[-1] if found else 0


def _first(reel: Reel, start: int, end: int) -> int:
    """The slot with the first frame at or after `start`, which may be a later one's."""
    index = _near(reel, start)
    reel.require(index, _near(reel, end - 1))
    while index > reel.run_begin(index) and reel.earliest(index) > start:
        index -= 1
    while index + 1 < len(reel.slots) and reel.latest(index) < start:
        index += 1
    return index


def _last(reel: Reel, end: int) -> int:
    """The last slot with a frame before `end`."""
    index = _near(reel, end - 1)
    # Frames are decoded before they are shown, and sound may come late.
    following = index + 1
    if following < len(reel.slots) and not reel.begins_run(following):
        reel.require(index, following)
        index = following
    while index and reel.earliest(index) >= end:
        index -= 1
    return index


def _duration_of(piece: Piece, slots: Sequence[Slot]) -> int:
    return slots[piece.index].duration if isinstance(piece, Refer) else piece.duration
