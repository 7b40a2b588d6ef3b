"""JSON of reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from api import names
from api.operations import Input, Model, Page
from api.people import People, Person
from api.suspensions.schemas import Duration
from api.suspensions.schemas import Scope as SuspensionScope
from core.db.models import Report

TEXT_LENGTH = 1000
REASON_LENGTH = 500

Kind = Literal["user", "message", "stream", "video", "clip"]
ReasonCode = Literal[
    "spam",
    "harassment",
    "hate",
    "sexual",
    "violence",
    "self_harm",
    "impersonation",
    "copyright",
    "other",
]
Status = Literal["open", "claimed", "decided"]
Decision = Literal["none", "warned", "suspended", "removed"]


def _text(text: str) -> str:
    return names.clean_words(text, TEXT_LENGTH, "text")


def _reason(text: str) -> str:
    return names.clean_words(text, REASON_LENGTH, "reason", least=1)


class ReportBody(Input):
    """What is reported.

    `user`: an account (`user`). `message`: a message of a chat (`channel`, `message`). `stream`: what
    a channel shows (`channel`). `video` and `clip`: one of these.
    """

    kind: Kind
    user: str | None = Field(default=None, max_length=100, description="A login.")
    channel: str | None = Field(
        default=None, max_length=100, description="A login; for a user: where it happened."
    )
    message: UUID | None = Field(default=None, strict=False)
    video: str | None = Field(default=None, pattern="^[0-9]{1,19}$", description="An id.")
    clip: str | None = Field(default=None, pattern="^[A-Za-z0-9_-]{11}$", description="An id.")
    reason: ReasonCode
    text: Annotated[str, Field(max_length=2 * TEXT_LENGTH), AfterValidator(_text)] = Field(
        default="", description="What else there is to say."
    )


class ReportMade(Model):
    """A report that was taken in."""

    id: str


class ReportView(Model):
    """A report in the queue of the site's moderators."""

    id: str
    kind: Kind
    reporter: Person
    user: Person = Field(description="Who is reported.")
    channel: Person | None = Field(description="Where.")
    message_id: str | None
    stream_id: str | None
    video_id: str | None
    clip_id: str | None
    reason: ReasonCode
    text: str
    snapshot: dict[str, Any] = Field(description="What was reported, as it was then.")
    status: Status
    claimed_by: Person | None
    claimed_at: datetime | None
    decision: Decision | None
    decision_reason: str
    decided_by: Person | None
    decided_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Report, people: People) -> ReportView:
        """From its row."""
        return cls.model_validate(
            {
                "id": str(row.id),
                "kind": row.kind,
                "reporter": people[row.reporter_id],
                "user": people[row.subject_user_id],
                "channel": people.get(row.channel_id),
                "message_id": None if row.message_id is None else str(row.message_id),
                "stream_id": None if row.stream_id is None else str(row.stream_id),
                "video_id": None if row.video_id is None else str(row.video_id),
                "clip_id": row.clip_id,
                "reason": row.reason,
                "text": row.text,
                "snapshot": row.snapshot,
                "status": row.status,
                "claimed_by": people.get(row.claimed_by),
                "claimed_at": row.claimed_at,
                "decision": row.decision,
                "decision_reason": row.decision_reason,
                "decided_by": people.get(row.decided_by),
                "decided_at": row.decided_at,
                "created_at": row.created_at,
            }
        )


class ReportPage(Model):
    """Reports, the newest first."""

    items: list[ReportView]
    next_cursor: str | None


class ReportsQuery(Page):
    """Which reports."""

    status: Status | None = None
    kind: Kind | None = None
    user: str | None = Field(default=None, max_length=100, description="About this login.")
    mine: bool = Field(default=False, description="Only those that you have claimed.")


class ReportSuspension(Input):
    """The suspension that a report leads to."""

    scope: SuspensionScope
    duration_s: Duration | None = None


class ReportDecisionBody(Input):
    """What comes of a report."""

    decision: Decision = Field(
        description="`removed`: the message, video or clip is removed, or the stream ended; `warned`: the account "
        "is told to mind the rules."
    )
    reason: Annotated[str, Field(max_length=2 * REASON_LENGTH), AfterValidator(_reason)] = Field(
        description="Whoever is warned or suspended is told this."
    )
    suspension: ReportSuspension | None = Field(default=None, description="For `suspended`.")
