"""What automatic moderation says to a text: held for a moderator, refused, or nothing. No I/O.

A channel sets one overall level from 0 (off) to 4, or a level per category. A blocked term refuses the
message; a link that its sender may not post is held or refused, as the channel wants; a word of our lists is
held. What a permitted term covers is no hit, and a permitted host is no link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from chat.links import hosts, is_permitted
from chat.room import Verdict
from chat.terms import Folded, Matcher, Term, fold
from core.errors import Invalid

MAX_LEVEL = 4
# Reasons, which stand beside categories in a verdict.
BLOCKED_TERM, LINK, AUTOMOD = "blocked_term", "link", "automod"
REFUSED = "msg_rejected_mandatory"


class Category(StrEnum):
    """What a word of the lists is about; Twitch's names."""

    AGGRESSION = "aggression"
    BULLYING = "bullying"
    DISABILITY = "disability"
    MISOGYNY = "misogyny"
    RACE = "race_ethnicity_or_religion"
    SEXUALITY = "sexuality_sex_or_gender"
    SEX_TERMS = "sex_based_terms"
    SWEARING = "swearing"


# What an overall level means, in the order of Category: hatred first, then hostility and sex, oaths last.
_OVERALL = (
    (0, 0, 0, 0, 0, 0, 0, 0),
    (1, 0, 1, 1, 1, 1, 0, 0),
    (2, 1, 2, 2, 2, 2, 1, 0),
    (3, 2, 3, 3, 3, 3, 3, 0),
    (4, 4, 4, 4, 4, 4, 4, 4),
)
Levels = Mapping[Category, int]


def levels(settings: Mapping[str, Any]) -> Levels:
    """Levels of `{"overall": 0–4}` or `{"categories": {name: 0–4, …}}`; nothing is off.

    Raises Invalid (`invalid_automod`) for anything else.
    """
    if unknown := set(settings) - {"overall", "categories"}:
        raise _invalid(f"AutoMod has no setting {min(unknown)!r}.")
    overall, categories = settings.get("overall"), settings.get("categories")
    if overall is not None and categories:
        raise _invalid("Set an overall level or levels per category, not both.")
    if overall is not None:
        return dict(zip(Category, _OVERALL[_level(overall)], strict=True))
    found = dict.fromkeys(Category, 0)
    if not isinstance(categories or {}, Mapping):
        raise _invalid("Categories are an object of names and levels.")
    for name, level in (categories or {}).items():
        if name not in found:
            raise _invalid(f"There is no category {str(name)[:40]!r}.")
        found[Category(name)] = _level(level)
    return found


def _level(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_LEVEL:
        raise _invalid(f"A level is a number from 0 to {MAX_LEVEL}.")
    return value


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="invalid_automod", field="automod")


class Entry(NamedTuple):
    """A word of the lists. It counts where the category's level is at least `level`."""

    category: Category
    level: int


class WordLists:
    """The lists as one matcher, which all rooms of a process share."""

    def __init__(self, lists: Iterable[tuple[str, str]]) -> None:
        """Raises ValueError for a line that cannot be read."""
        entries = [
            entry
            for name, content in lists
            for line in content.splitlines()
            if (entry := _entry(Category(name), line)) is not None
        ]
        self._matcher = Matcher(entries)

    def hits(self, folded: Folded, limits: Levels, permitted: Matcher[str]) -> set[Category]:
        """Categories of which a text has a word that no permitted term covers."""
        found = [
            match
            for match in self._matcher.find(folded)
            if limits[match.value.category] >= match.value.level
        ]
        if not found:
            return set()
        allowed = list(permitted.find(folded))
        return {
            hit.value.category
            for hit in found
            if not any(
                term.reading == hit.reading and term.first <= hit.first and hit.last <= term.last
                for term in allowed
            )
        }


def _entry(category: Category, line: str) -> tuple[Term, Entry] | None:
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    level, _, text = line.partition(" ")
    if level not in tuple("1234"):
        raise ValueError(f"no level before the term: {line!r}")
    return Term.parse(text), Entry(category, int(level))


@dataclass(frozen=True, slots=True)
class Policy:
    """A channel's settings, compiled once for all the messages that they judge."""

    levels: Levels = field(default_factory=lambda: dict.fromkeys(Category, 0))
    hold_links: bool = True
    blocked: Matcher[str] = field(default_factory=Matcher)
    permitted: Matcher[str] = field(default_factory=Matcher)
    permitted_hosts: frozenset[str] = frozenset()

    @classmethod
    def compile(
        cls,
        automod: Mapping[str, Any],
        blocked: Iterable[str] = (),
        permitted: Iterable[str] = (),
        links_action: str = "hold",
    ) -> Policy:
        """From what is stored. Raises Invalid for settings that could not have been stored."""
        permitted = tuple(permitted)
        return cls(
            levels(automod),
            links_action != "refuse",
            Matcher((Term.parse(text), text) for text in blocked),
            Matcher((Term.parse(text), text) for text in permitted),
            frozenset(host for text in permitted for host in hosts(text)),
        )


def review(text: str, policy: Policy, words: WordLists, may_link: bool) -> Verdict:
    """What the channel's settings say to a message.

    `may_link`: links are none of its business. Who is exempt from all of it is the room's to know.
    """
    judges = any(policy.levels.values())
    # Half of what a message costs here: only where somebody looks for something.
    folded = fold(text) if judges or policy.blocked else ()
    if any(policy.blocked.find(folded)):
        return Verdict(refused=REFUSED, categories=(BLOCKED_TERM,))
    linked = not may_link and not all(
        is_permitted(host, policy.permitted_hosts) for host in hosts(text)
    )
    if linked and not policy.hold_links:
        return Verdict(refused=REFUSED, categories=(LINK,))
    categories: set[Category] = set()
    if judges:
        categories = words.hits(folded, policy.levels, policy.permitted)
    if categories:
        return Verdict(held=AUTOMOD, categories=tuple(sorted(categories)))
    return Verdict(held=LINK, categories=(LINK,)) if linked else Verdict()
