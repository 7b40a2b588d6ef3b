"""What may be said and done in a room: facts and the time in, a decision out. No I/O, no clock.

`judge` decides about a message, `may` about a moderator's command, `purge`-like effects are left to
the callers. What has to hold over all processes at once (bans, rates, duplicates, slow mode) is in the
facts' `Gate`, which `accept.lua` checks in the same step as it publishes.

Times are seconds since the epoch. Codes are those of the REST errors and Twitch's IRC `msg-id`s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from core.errors import DomainError, Forbidden, Invalid, RateLimited, Unauthorized

MESSAGE_LENGTH = 500
RATE, RATE_MODERATOR, RATE_WINDOW_S = 20, 100, 30
DUPLICATE_S = 30
# Unique chat: messages of more characters than this must differ from everybody's of the last while.
UNIQUE_LENGTH, UNIQUE_S = 9, 30
SLOW_MIN_S, SLOW_MAX_S = 3, 120
FOLLOWERS_MAX_MIN = 129_600
TIMEOUT_MAX_S = 1_209_600
REASON_LENGTH = 500
DELETE_AGE_S = 6 * 3600
DELAYS_S = (0, 2, 4, 6)


class Rank(IntEnum):
    """What somebody is in a room, each including the ones before it."""

    VIEWER = 0
    VIP = 1
    MODERATOR = 2
    BROADCASTER = 3


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is logged in, as others see them."""

    id: int
    login: str
    name: str
    color: str
    # The site's moderators and admins.
    staff: bool = False


@dataclass(frozen=True, slots=True)
class Modes:
    """How a room is run at this moment, the shield included."""

    slow_s: int = 0
    followers_min: int | None = None
    subscribers_only: bool = False
    emote_only: bool = False
    unique_chat: bool = False
    delay_s: int = 0
    shield: bool = False

    def public(self) -> dict[str, int | bool | None]:
        """What everybody is told."""
        return {
            "slow_s": self.slow_s,
            "followers_min": self.followers_min,
            "subscribers_only": self.subscribers_only,
            "emote_only": self.emote_only,
            "unique_chat": self.unique_chat,
            "delay_s": self.delay_s,
            "shield": self.shield,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one user stands in one room."""

    rank: Rank = Rank.VIEWER
    banned: bool = False
    timed_out_until: float | None = None
    # Reason of a warning that is not acknowledged yet.
    warning: str | None = None
    follows_since: float | None = None
    subscriber: bool = False
    # The account is suspended on the whole site.
    suspended: bool = False
    # Every message is held (a suspicious user).
    restricted: bool = False
    monitored: bool = False

    @property
    def can_moderate(self) -> bool:
        """Whether they see and do what moderators do."""
        return self.rank >= Rank.MODERATOR

    @property
    def badges(self) -> list[str]:
        """Badges as Twitch writes them."""
        name = {Rank.BROADCASTER: "broadcaster/1", Rank.MODERATOR: "moderator/1", Rank.VIP: "vip/1"}
        return [name[self.rank]] if self.rank in name else []


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a message's sender and the room it is for."""

    user: User | None
    standing: Standing
    modes: Modes
    channel_suspended: bool = False


@dataclass(frozen=True, slots=True)
class Speech:
    """A message as it was read: its text, and how much of it is emotes."""

    text: str
    emotes_only: bool = False
    action: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What automatic moderation says to a text: `held` or `refused` with the code, or neither."""

    held: str | None = None
    refused: str | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """What `accept.lua` has to check over all processes before it publishes."""

    rate: int
    slow_s: int
    unique: bool
    # Whether bans, timeouts and warnings apply: never to the broadcaster.
    barrable: bool
    duplicates: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """To be published if the gate opens; or held for a moderator, if it opens."""

    gate: Gate
    text: str
    held: str | None = None
    categories: tuple[str, ...] = field(default=())


def clean(text: str) -> str:
    """A message without what no message holds: control characters, and spaces around it."""
    kept = "".join(
        " " if char in "\r\n\t" else char for char in text if char >= " " or char in "\r\n\t"
    )
    return kept.replace("\x7f", "").strip()


def known(facts: Facts) -> User:
    """The sender. Raises what keeps them from writing anything at all, commands included."""
    if facts.user is None:
        raise Unauthorized("Log in to chat.", code="login_required")
    if facts.standing.suspended:
        raise Forbidden("This account is suspended.", code="suspended")
    if facts.channel_suspended and not facts.user.staff:
        raise Forbidden("This channel is suspended.", code="msg_channel_suspended")
    return facts.user


def judge(facts: Facts, speech: Speech, verdict: Verdict, now: float) -> Accepted:
    """Whether a message may be said. Raises the first rule it breaks, as a DomainError."""
    known(facts)
    check_barred(facts.standing, now)
    text = speech.text
    if len(text) > MESSAGE_LENGTH:
        raise Invalid(
            f"A message has at most {MESSAGE_LENGTH} characters.", code="message_too_long"
        )
    if not text:
        raise Invalid("The message is empty.", code="message_empty")
    check_modes(facts, speech, now)
    standing = facts.standing
    if verdict.refused is not None and not standing.can_moderate:
        raise Forbidden(_REFUSED.get(verdict.refused, _REJECTED), code=verdict.refused)
    held = None
    if not standing.can_moderate:
        held = verdict.held or ("suspicious" if standing.restricted else None)
    return Accepted(gate_of(facts), text, held, verdict.categories)


_REJECTED = "The message was not posted: it conflicts with the channel's moderation settings."
_REFUSED = {"msg_rejected_mandatory": _REJECTED}


def check_barred(standing: Standing, now: float) -> None:
    """Raise when a ban, a timeout or a warning keeps somebody from writing."""
    if standing.rank == Rank.BROADCASTER:
        return
    if standing.banned:
        raise banned()
    if standing.timed_out_until is not None and standing.timed_out_until > now:
        raise timed_out(standing.timed_out_until - now)
    if standing.warning is not None:
        raise warned()


def check_modes(facts: Facts, speech: Speech, now: float) -> None:
    """Raise when a mode of the room keeps this message out. Slow and unique are in the gate."""
    standing, modes = facts.standing, facts.modes
    if standing.rank < Rank.VIP:
        if modes.followers_min is not None:
            _check_followers(standing.follows_since, modes.followers_min, now)
        if modes.subscribers_only and not standing.subscriber:
            raise Forbidden("Only subscribers may chat just now.", code="msg_subsonly")
    if modes.emote_only and not standing.can_moderate and not speech.emotes_only:
        raise Forbidden("Only emotes may be posted just now.", code="msg_emoteonly")


def _check_followers(since: float | None, minutes: int, now: float) -> None:
    if since is None:
        if minutes == 0:
            raise Forbidden("Only followers may chat.", code="msg_followersonly_zero")
        raise Forbidden(
            f"Only those who have followed for {_minutes(minutes)} may chat.",
            code="msg_followersonly",
        )
    wait = since + minutes * 60 - now
    if wait > 0:
        error = Forbidden(
            f"You have to have followed for {_minutes(minutes)}.",
            code="msg_followersonly_followed",
        )
        error.retry_after = wait
        raise error


def _minutes(minutes: int) -> str:
    for size, name in ((1440, "day"), (60, "hour")):
        if minutes >= size and minutes % size == 0:
            return f"{minutes // size} {name}{'s' if minutes > size else ''}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def gate_of(facts: Facts) -> Gate:
    """What the script checks for this sender."""
    standing, modes = facts.standing, facts.modes
    return Gate(
        rate=RATE_MODERATOR if standing.can_moderate else RATE,
        slow_s=modes.slow_s if standing.rank < Rank.VIP else 0,
        unique=modes.unique_chat and not standing.can_moderate,
        barrable=standing.rank < Rank.BROADCASTER,
        duplicates=not standing.can_moderate,
    )


def banned() -> DomainError:
    """The refusal of somebody who is banned."""
    return Forbidden("You are banned from this chat.", code="msg_banned")


def timed_out(wait_s: float) -> DomainError:
    """The refusal of somebody who is timed out."""
    error = Forbidden("You are timed out.", code="msg_timedout")
    error.retry_after = wait_s
    return error


def warned() -> DomainError:
    """The refusal of somebody who has a warning to acknowledge."""
    return Forbidden("Acknowledge the moderators' warning first.", code="warning_unacknowledged")


def too_fast(wait_s: float) -> DomainError:
    """The refusal of somebody who writes too often."""
    return RateLimited(
        "You are sending messages too quickly.", retry_after=wait_s, code="msg_ratelimit"
    )


def too_soon(wait_s: float) -> DomainError:
    """The refusal in slow mode."""
    return RateLimited("Slow mode is on.", retry_after=wait_s, code="msg_slowmode")


def duplicate() -> DomainError:
    """The refusal of one's own previous message."""
    return Forbidden("This is the same as your previous message.", code="msg_duplicate")


def not_unique() -> DomainError:
    """The refusal in unique chat."""
    return Forbidden("Somebody has just said the same.", code="msg_r9k")


# --- moderation -----------------------------------------------------------------------------------


def may_moderate(rank: Rank, staff: bool) -> None:
    """Raise Forbidden unless somebody may use the moderators' tools. The site's staff may."""
    if rank < Rank.MODERATOR and not staff:
        raise Forbidden("You may not do this here.", code="no_permission")


def may_own(rank: Rank, staff_admin: bool) -> None:
    """Raise Forbidden unless somebody may do what only the broadcaster does."""
    if rank < Rank.BROADCASTER and not staff_admin:
        raise Forbidden("Only the broadcaster may do this.", code="no_permission")


def may_bar(actor_id: int, rank: Rank, target_id: int, target_rank: Rank, what: str) -> None:
    """Raise Forbidden unless the actor may ban, time out or warn the target.

    `what` is "ban", "timeout" or "warn" and makes the code (`bad_ban_self`, …).
    """
    if target_rank == Rank.BROADCASTER:
        who = "self" if actor_id == target_id else "broadcaster"
        raise Forbidden("The broadcaster cannot be barred.", code=f"bad_{what}_{who}")
    if actor_id == target_id:
        raise Forbidden("You cannot do this to yourself.", code=f"bad_{what}_self")
    if target_rank >= Rank.MODERATOR and rank < Rank.BROADCASTER:
        raise Forbidden("Moderators cannot be barred by each other.", code=f"bad_{what}_mod")


def may_delete(actor_id: int, author_id: int, author_rank: Rank, rank: Rank, age_s: float) -> None:
    """Raise unless the actor may delete a message of that author and age."""
    if age_s > DELETE_AGE_S:
        raise Invalid("The message is older than six hours.", code="bad_delete_message_error")
    if actor_id == author_id or rank == Rank.BROADCASTER:
        return
    if author_rank == Rank.BROADCASTER:
        raise Forbidden("The broadcaster's messages stay.", code="bad_delete_message_broadcaster")
    if author_rank == Rank.MODERATOR:
        raise Forbidden("Another moderator's messages stay.", code="bad_delete_message_mod")


def check_duration(seconds: int) -> int:
    """A timeout's length. Raises Invalid."""
    if not 1 <= seconds <= TIMEOUT_MAX_S:
        raise Invalid(
            "A timeout lasts from 1 second to 2 weeks.",
            code="bad_timeout_duration",
            field="duration_s",
        )
    return seconds


COLORS = (
    "#FF0000", "#0000FF", "#008000", "#B22222", "#FF7F50", "#9ACD32", "#FF4500", "#2E8B57",
    "#DAA520", "#D2691E", "#5F9EA0", "#1E90FF", "#FF69B4", "#8A2BE2", "#00FF7F",
)  # fmt: skip


def default_color(user_id: int) -> str:
    """The colour of somebody who has chosen none; always the same one."""
    return COLORS[user_id % len(COLORS)]
