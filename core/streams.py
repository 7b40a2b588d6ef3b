"""What JetStream keeps: the events, and two queues of work, each a stream of its own.

None of them is the truth. Events wait in the outbox until they are stored here; finished segments wait
in the spool and jobs in their table, and their messages only say that there is something to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from nats.js.api import RetentionPolicy, StreamConfig

from core.events import STREAM_NAME, SUBJECT_PREFIX

# How long NATS remembers message ids. The outbox publishes one again only within seconds of the
# first time.
DUPLICATE_WINDOW_S = 120


@dataclass(frozen=True)
class Stream:
    """A JetStream stream: everything published below `prefix`.

    Of a `queue` a message is gone once it was acknowledged; otherwise it stays for `max_age_s`.
    """

    name: str
    prefix: str
    max_age_s: float
    queue: bool = False

    def config(self, replicas: int) -> StreamConfig:
        """As NATS is told."""
        return StreamConfig(
            name=self.name,
            subjects=[f"{self.prefix}.>"],
            retention=RetentionPolicy.WORK_QUEUE if self.queue else RetentionPolicy.LIMITS,
            max_age=self.max_age_s,
            duplicate_window=DUPLICATE_WINDOW_S,
            num_replicas=replicas,
        )


EVENTS = Stream(STREAM_NAME, SUBJECT_PREFIX, max_age_s=7 * 86400)
# footlight.segments.<node>: a segment is whole in that node's spool.
SEGMENTS = Stream("FOOTLIGHT_SEGMENTS", "footlight.segments", max_age_s=86400, queue=True)
# footlight.jobs.<priority>: a job waits.
JOBS = Stream("FOOTLIGHT_JOBS", "footlight.jobs", max_age_s=86400, queue=True)
