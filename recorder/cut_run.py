"""The part of a cut that lies in one run: segments that follow each other on one timeline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from recorder.fmp4 import Sample
from recorder.pieces import Copy, Encode, NothingThereError, Piece, Refer, micros
from recorder.reel import Reel


@dataclass(frozen=True, slots=True)
class _Place:
    """A sample of a run: its slot, its number in it, and when it is presented."""

    index: int
    number: int
    time: int
    sample: Sample


class Run:
    """The part of a cut that lies in one run: slots `lo` to `hi`."""

    def __init__(
        self, reel: Reel, ends: tuple[int, int], lo: int, hi: int, *, head: bool, tail: bool
    ) -> None:
        self.pieces: list[Piece] = []
        self._reel = reel
        self._lo, self._hi = lo, hi
        self._head, self._tail = head, tail
        self._start, self._end = ends

    def cut(self) -> int:
        """Make the pieces; when the first frame is presented."""
        lo = self._lo
        if not self._head and not self._tail:
            self.pieces += [Refer(index) for index in range(lo, self._hi + 1)]
            return self._reel.slots[lo].start
        track = self._reel.at(lo if self._head else self._hi).init.video
        if track is None:
            return self._cut_sound()
        self._track = track
        if not self._head:
            self._cut_body(None)
            return self._reel.slots[lo].start
        places = self._places(lo)
        begin = min(place.time for place in places)
        if begin >= self._start and self._clean(places, 0):
            self._cut_body(None)
            return begin
        body = self._keyframe_from(lo)
        begin = self._encode_head(body)
        if body is not None:
            self._cut_body(body)
        return begin

    # Samples

    def _places(self, index: int) -> list[_Place]:
        content = self._reel.at(index)
        samples = content.samples(content.init.video)
        return [_Place(index, n, self._reel.shown(index, s), s) for n, s in enumerate(samples)]

    @staticmethod
    def _clean(places: Sequence[_Place], number: int) -> bool:
        """Whether decoding may begin here without losing a frame that is shown later."""
        key = places[number]
        return key.sample.sync and all(p.time >= key.time for p in places[number + 1 :])

    def _keyframe_from(self, index: int) -> _Place | None:
        """The first keyframe at or after the start at which the copied part may begin."""
        while index <= self._hi:
            places = self._places(index)
            for place in places:
                wanted = self._start <= place.time < self._end
                if wanted and self._clean(places, place.number):
                    return place
            index += 1
        return None

    def _keyframe_before(self, place: _Place) -> _Place:
        """The last keyframe from which `place` can be decoded."""
        index = place.index
        while True:
            places = self._places(index)
            for key in reversed(places):
                reached = index < place.index or key.number <= place.number
                if reached and key.time <= place.time and self._clean(places, key.number):
                    return key
            if not self._reel.same_run(index, index - 1):
                return places[0]
            index -= 1

    def _between(self, first: _Place, last: _Place) -> list[_Place]:
        """Everything from `first` to `last` in decoding order, both included."""
        found: list[_Place] = []
        for index in range(first.index, last.index + 1):
            found += [
                place
                for place in self._places(index)
                if (index, place.number) >= (first.index, first.number)
                and (index, place.number) <= (last.index, last.number)
            ]
        return found

    def _wanted(self, since: int, until: int, last: int) -> list[_Place]:
        """Frames presented in this stretch, in the order in which they are; none lies behind slot `last`."""
        places = [p for index in range(self._lo, last + 1) for p in self._places(index)]
        return sorted((p for p in places if since <= p.time < until), key=lambda p: p.time)

    # Pieces

    def _encode_head(self, body: _Place | None) -> int:
        before, last = (body.time, body.index) if body else (self._end, self._hi)
        wanted = self._wanted(self._start, before, last)
        if not wanted and body is not None:
            return body.time
        if not wanted:
            raise NothingThereError("no frame lies between the ends")
        delay = wanted[0].sample.offset
        until = body.sample.shown if body else self._shown_after(wanted[-1])
        if body is not None:
            delay = body.sample.offset
        sounds = self._sounds_between(self._start, body)
        self._encode(wanted, until, min(delay, wanted[0].sample.shown), sounds)
        return wanted[0].time

    def _encode(
        self, wanted: Sequence[_Place], until: int, delay: int, audio: Sequence[Sample]
    ) -> None:
        last = max(wanted, key=lambda p: (p.index, p.number))
        key = self._keyframe_before(min(wanted, key=lambda p: (p.index, p.number)))
        feed = [place.sample for place in self._between(key, last)]
        shown = [place.sample.shown for place in wanted]
        duration = micros(until - shown[0], self._track)
        start = wanted[0].time - micros(delay, self._track)
        self.pieces.append(
            Encode(wanted[0].index, start, duration, feed, shown, until, delay, audio)
        )

    def _shown_after(self, last: _Place) -> int:
        """When the frame after `last` is presented, in units of the track."""
        following = [
            place.sample.shown
            for index in range(last.index, self._hi + 1)
            for place in self._places(index)
            if place.time > last.time
        ]
        return min(following, default=last.sample.shown + last.sample.duration)

    def _cut_body(self, begin: _Place | None) -> None:
        """Whole segments from `begin` on (None: from the run's first), and what is left at the end."""
        index = begin.index if begin else self._lo
        number = begin.number if begin else 0
        beyond = any(place.time >= self._end for place in self._places(self._hi))
        cut = self._tail and (beyond or bool(self._late_sounds()))
        if number and (index < self._hi or not cut):
            places = self._places(index)[number:]
            self._copy(places, self._sounds_of(index, places[0], None))
            index, number = index + 1, 0
        whole = self._hi if cut else self._hi + 1
        self.pieces += [Refer(i) for i in range(index, whole)]
        if cut:
            self._cut_tail(number)

    def _cut_tail(self, number: int) -> None:
        """The last segment, from sample `number` on: what may be copied, and what is left of it."""
        places = self._places(self._hi)[number:]
        whole = self._closed(places)
        kept = places[:whole]
        rest = sorted((p for p in places[whole:] if p.time < self._end), key=lambda p: p.time)
        begin = places[0] if number else None
        if kept:
            self._copy(kept, self._sounds_of(self._hi, begin, rest[0] if rest else None))
        if rest:
            # Its decode times go on where the copied samples end.
            delay = rest[0].sample.shown - places[whole].sample.time
            after = rest[0] if kept else begin
            sounds = self._sounds_of(self._hi, after, None)
            self._encode(rest, self._shown_after(rest[-1]), delay, sounds)

    def _closed(self, places: Sequence[_Place]) -> int:
        """How many of these, from the first, can be shown without any of those after them, all
        before the end.
        """
        latest = list(accumulate((p.time for p in places), max))
        earliest = list(accumulate((p.time for p in reversed(places)), min))[::-1]
        for count in range(len(places), 0, -1):
            closed = count == len(places) or latest[count - 1] < earliest[count]
            if closed and latest[count - 1] < self._end:
                return count
        return 0

    def _copy(self, places: Sequence[_Place], audio: Sequence[Sample]) -> None:
        samples = [place.sample for place in places]
        first, last = samples[0], samples[-1]
        length = last.time + last.duration - first.time
        start = places[0].time - micros(first.offset, self._track)
        self.pieces.append(
            Copy(places[0].index, start, micros(length, self._track), samples, audio)
        )

    # Sound

    def _decoded(self, place: _Place) -> int:
        """The media time of a sample's decode time: where its segment's sound begins."""
        return place.time - micros(place.sample.offset, self._track)

    def _sounds_between(self, since: int, body: _Place | None) -> list[Sample]:
        """Sound from `since` to where `body` begins, or to the end of the cut."""
        last = self._hi
        found: list[Sample] = []
        for index in range(self._lo, last + 1):
            if body is not None and index >= body.index + (1 if body.number else 0):
                break
            limit = self._end
            if body is not None and index == body.index:
                limit = self._decoded(body)
            found += [s for time, s in self._reel.sounds(index) if since <= time < limit]
        if body is None:
            found += self._late_sounds()
        return found

    def _sounds_of(self, index: int, begin: _Place | None, until: _Place | None) -> list[Sample]:
        """Sound of one slot from `begin` (None: all) to `until` (None: the cut's end or the slot's)."""
        since = self._decoded(begin) if begin else None
        if since is None and self._head and index == self._lo:
            since = self._start
        limit = self._decoded(until) if until else None
        if limit is None and self._tail and index == self._hi:
            limit = self._end
        found = [
            sample
            for time, sample in self._reel.sounds(index)
            if (since is None or time >= since) and (limit is None or time < limit)
        ]
        if until is None and self._tail and index == self._hi:
            found += self._late_sounds()
        return found

    def _late_sounds(self) -> list[Sample]:
        """Sound of before the end that came too late for its own segment."""
        following = self._hi + 1
        if not self._tail or not self._reel.same_run(self._hi, following):
            return []
        if following not in self._reel.loaded:
            return []
        return [s for time, s in self._reel.sounds(following) if time < self._end]

    # No picture

    def _cut_sound(self) -> int:
        begins: list[int] = []
        for index in range(self._lo, self._hi + 1):
            if index not in self._reel.loaded and self._lo < index < self._hi:
                self.pieces.append(Refer(index))
                continue
            sounds = self._reel.sounds(index)
            kept = [(t, s) for t, s in sounds if self._start <= t < self._end]
            if not kept:
                continue
            begins.append(kept[0][0])
            if len(kept) == len(sounds):
                self.pieces.append(Refer(index))
                continue
            track = self._reel.at(index).init.audio
            if track is None:
                raise NothingThereError("neither picture nor sound")
            length = kept[-1][1].time + kept[-1][1].duration - kept[0][1].time
            samples = [sample for _, sample in kept]
            self.pieces.append(Copy(index, kept[0][0], micros(length, track), (), samples))
        if not begins:
            raise NothingThereError("no frame lies between the ends")
        return begins[0]
