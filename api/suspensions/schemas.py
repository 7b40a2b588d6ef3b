"""JSON of suspensions and appeals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api import names
from api.operations import Input, Model, Page
from api.people import People, Person
from api.suspensions.suspensions import is_over
from core.db.models import Appeal, Suspension

REASON_LENGTH = 500
APPEAL_LENGTH = 2000
LONGEST_S = 10 * 366 * 86400

Scope = Literal["account", "channel"]
AppealDecision = Literal["upheld", "shortened", "lifted"]


def _reason(text: str) -> str:
    return names.clean_words(text, REASON_LENGTH, "reason", least=1)


def _answer(text: str) -> str:
    return names.clean_words(text, APPEAL_LENGTH, "answer")


def _text(text: str) -> str:
    return names.clean_words(text, APPEAL_LENGTH, "text", least=1)


Reason = Annotated[
    str,
    Field(max_length=2 * REASON_LENGTH, description="The suspended account is told this."),
    AfterValidator(_reason),
]
Duration = Annotated[
    int, Field(ge=60, le=LONGEST_S, description="Seconds from now; left out: for good.")
]


class SuspensionBody(Input):
    """Whom to suspend."""

    user: str = Field(max_length=100, description="A login.")
    scope: Scope = Field(
        description="`account`: everything but reading; `channel`: its stream, its "
        "chat and its videos only."
    )
    reason: Reason
    duration_s: Duration | None = None


class AppealBody(Input):
    """Why the suspension is wrong."""

    text: Annotated[str, Field(max_length=2 * APPEAL_LENGTH), AfterValidator(_text)]


class AppealDecisionBody(Input):
    """What comes of an appeal."""

    decision: AppealDecision
    answer: Annotated[str, Field(max_length=2 * APPEAL_LENGTH), AfterValidator(_answer)] = Field(
        default="", description="What the suspended account is told."
    )
    duration_s: Duration | None = Field(
        default=None, description="For `shortened`: seconds from now."
    )


class AppealView(Model):
    """An appeal as the suspended account sees it."""

    id: str
    text: str
    created_at: datetime
    decision: AppealDecision | None
    answer: str
    decided_at: datetime | None

    @classmethod
    def of(cls, row: Appeal) -> AppealView:
        """From its row."""
        return cls.model_validate(
            {
                "id": str(row.id),
                "text": row.text,
                "created_at": row.created_at,
                "decision": row.decision,
                "answer": row.answer,
                "decided_at": row.decided_at,
            }
        )


class MySuspension(Model):
    """A suspension of yours that stands."""

    id: str
    scope: Scope
    reason: str
    created_at: datetime
    until: datetime | None = Field(description="Null: for good.")
    appeal: AppealView | None

    @classmethod
    def of(cls, row: Suspension, appeal: Appeal | None) -> MySuspension:
        """From its rows."""
        return cls.model_validate(
            {
                "id": str(row.id),
                "scope": row.scope,
                "reason": row.reason,
                "created_at": row.created_at,
                "until": row.until,
                "appeal": None if appeal is None else AppealView.of(appeal),
            }
        )


class MySuspensions(Model):
    """At most one for the account and one for the channel."""

    items: list[MySuspension]


class SuspensionView(MySuspension):
    """A suspension as the site's moderators see it."""

    user: Person
    by: Person | None
    standing: bool
    lifted_at: datetime | None
    lifted_by: Person | None

    @classmethod
    def seen(cls, row: Suspension, appeal: Appeal | None, people: People) -> SuspensionView:
        """From its rows."""
        return cls(
            **MySuspension.of(row, appeal).model_dump(exclude={"appeal"}),
            appeal=None if appeal is None else AppealView.of(appeal),
            user=people[row.user_id],
            by=people.get(row.by),
            standing=not is_over(row, datetime.now(UTC)),
            lifted_at=row.lifted_at,
            lifted_by=people.get(row.lifted_by),
        )


class SuspensionPage(Model):
    """Suspensions, the newest first."""

    items: list[SuspensionView]
    next_cursor: str | None


class SuspensionsQuery(Page):
    """Which suspensions."""

    user: str | None = Field(default=None, max_length=100, description="Of this login.")
    standing: bool | None = Field(
        default=None, description="True: only those in force; false: only those that are over."
    )


class AppealItem(Model):
    """An appeal in the queue, with what it is about."""

    id: str
    text: str
    created_at: datetime
    decision: AppealDecision | None
    answer: str
    decided_by: Person | None
    decided_at: datetime | None
    suspension: SuspensionView

    @classmethod
    def of(cls, row: Appeal, suspension: Suspension, people: People) -> AppealItem:
        """From its rows."""
        return cls(
            **AppealView.of(row).model_dump(),
            decided_by=people.get(row.decided_by),
            suspension=SuspensionView.seen(suspension, None, people),
        )


class AppealPage(Model):
    """Appeals, the newest first."""

    items: list[AppealItem]
    next_cursor: str | None


class AppealsQuery(Page):
    """Which appeals."""

    open: bool | None = Field(default=None, description="Undecided ones, or decided ones.")
