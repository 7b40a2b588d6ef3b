"""Token buckets by subject, in one process: how often strangers may do what costs us something.

For what has to hold over all processes there is `core.limits`, which asks Redis; this asks nobody, and is for
what has to be refused before it costs a question. Time is the caller's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Bucket:
    """What one subject has left, and when that was so."""

    tokens: float
    at: float


class Buckets(Generic[K]):
    """For each subject `size` at once, and then `per_s` a second.

    At most `most` subjects are remembered; who was longest unheard of is forgotten first, and has a full bucket
    again.
    """

    def __init__(self, size: float, per_s: float, *, most: int = 10_000) -> None:
        self.size = size
        self.per_s = per_s
        self._most = most
        self._buckets: OrderedDict[K, Bucket] = OrderedDict()

    def wait_s(self, subject: K, now: float, cost: float = 1.0) -> float:
        """Seconds until `cost` would be there; 0 when it is. Takes nothing."""
        bucket = self._buckets.get(subject)
        return 0.0 if bucket is None else max(0.0, cost - self._filled(bucket, now)) / self.per_s

    def take(self, subject: K, now: float, cost: float = 1.0) -> float:
        """Take `cost` if it is there: 0. If not nothing is taken: seconds until it would be there."""
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = self._buckets[subject] = Bucket(self.size, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(subject)
        bucket.tokens, bucket.at = self._filled(bucket, now), now
        if bucket.tokens < cost:
            return (cost - bucket.tokens) / self.per_s
        bucket.tokens -= cost
        return 0.0

    def queue(self, subject: K, now: float, patience_s: float) -> float | None:
        """A place in the subject's queue: seconds until its turn, in the order asked. None, and no place, when
        that would be later than `patience_s` from now.
        """
        wait = self.take(subject, now)
        if wait == 0:
            return 0.0
        if wait > patience_s:
            return None
        # In debt, which fills first.
        self._buckets[subject].tokens -= 1
        return wait

    def _filled(self, bucket: Bucket, now: float) -> float:
        return min(self.size, bucket.tokens + max(0.0, now - bucket.at) * self.per_s)
