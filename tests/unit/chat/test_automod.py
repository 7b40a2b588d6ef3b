"""AutoMod: levels, what is held or refused, and sentences that must not be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import automod
from chat.automod import Category, Policy, WordLists, review
from chat.room import Verdict
from chat.wordlists import lists
from core.errors import Invalid

# Words of our own, so that the tests need no others.
WORDS = WordLists((("aggression", "1 grr*\n# no term\n\n3 boo"), ("swearing", "4 drat\n2 dang it")))
SHIPPED = WordLists(lists())


def verdict(text: str, *, may_link: bool = True, **settings: Any) -> Verdict:
    policy = Policy.compile({"overall": 4}, **settings)
    return review(text, policy, WORDS, may_link)


def test_levels() -> None:
    assert set(automod.levels({}).values()) == {0}
    assert set(automod.levels({"overall": 4}).values()) == {4}
    assert automod.levels({"overall": 1})[Category.RACE] == 1
    assert automod.levels({"categories": {"swearing": 2}})[Category.SWEARING] == 2
    assert automod.levels({"categories": {"swearing": 2}})[Category.RACE] == 0


def test_a_higher_overall_level_is_nowhere_milder() -> None:
    for level in range(automod.MAX_LEVEL):
        milder, stricter = (
            automod.levels({"overall": level}),
            automod.levels({"overall": level + 1}),
        )
        assert all(milder[category] <= stricter[category] for category in Category)


@pytest.mark.parametrize(
    "settings",
    [
        {"overall": 5},
        {"overall": True},
        {"overall": "2"},
        {"categories": {"aggression": -1}},
        {"categories": {"other": 1}},
        {"categories": ["aggression"]},
        {"overall": 1, "categories": {"aggression": 1}},
        {"level": 1},
    ],
)
def test_settings_that_are_wrong(settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        automod.levels(settings)
    assert refused.value.code == "invalid_automod"


def test_a_word_is_held_from_its_level_on() -> None:
    for level, held in ((0, None), (1, None), (2, None), (3, "automod"), (4, "automod")):
        policy = Policy.compile({"categories": {"aggression": level}})
        assert review("boo!", policy, WORDS, True).held == held


def test_a_verdict_names_every_category_once() -> None:
    assert verdict("GRRRR drat grr d.r.a.t") == Verdict("automod", None, ("aggression", "swearing"))
    assert verdict("hello") == Verdict()


def test_a_permitted_term_covers_only_itself() -> None:
    assert verdict("oh drat", permitted=("oh drat",)) == Verdict()
    assert verdict("oh drat drat", permitted=("oh drat",)).held == "automod"
    assert verdict("dang it", permitted=("dang",)).held == "automod"


def test_a_blocked_term_refuses_whatever_else_holds() -> None:
    blocked = verdict("drat the BÀDGER", blocked=("badger*",), permitted=("badger",))
    assert blocked == Verdict(None, "msg_rejected_mandatory", ("blocked_term",))


def test_links() -> None:
    assert verdict("see example.com") == Verdict()
    assert verdict("see example.com", may_link=False) == Verdict("link", None, ("link",))
    refused = verdict("see example.com", may_link=False, links_action="refuse")
    assert refused == Verdict(None, "msg_rejected_mandatory", ("link",))
    permitted = ("example.com", "two words")
    assert verdict("see www.example.com", may_link=False, permitted=permitted) == Verdict()
    assert verdict("example.com other.com", may_link=False, permitted=permitted).held == "link"


def test_the_lists_are_read_and_cover_every_category() -> None:
    policy = Policy.compile({"overall": 4})
    seen = set()
    for name, content in lists():
        seen.add(Category(name))
        terms = [line for line in content.splitlines() if line and line[0] != "#"]
        assert len(terms) == len(set(terms)) > 20
        for line in terms:
            found = review(line[2:].replace("*", ""), policy, SHIPPED, True)
            assert name in found.categories, line
    assert seen == set(Category)


def test_a_list_with_a_wrong_line_is_not_loaded() -> None:
    with pytest.raises(ValueError, match="no level"):
        WordLists((("swearing", "drat"),))


@pytest.mark.parametrize(
    "text",
    [
        "Good class, as always: grass, glass, passes and assassins",
        "He sat in the cockpit over Scunthorpe, Essex and Middlesex",
        "An analysis by the therapist, page 69, in the annals of Niger",
        "Snigger at the shiitake, Dickens, peacocks and titans",
        "hello shell, my document is in the basement. But I can't",
        "gg wp! that was a 100% legit 360 no scope :)",
        "@assets what is your name? I'm ann, nice to meet u",
        "Can we play Mario Kart at 8 pm? a b or c is fine",
        "Er ist da, wie immer",
        "お疲れ様でした! うまいね",
        "как дела? отличный стрим",
        "F in the chat, PogChamp Kappa LUL",
        "That's a nice bass, I like how it sounds with the trumpet",
    ],
)
def test_innocent_sentences_pass_at_the_highest_level(text: str) -> None:
    assert review(text, Policy.compile({"overall": 4}), SHIPPED, True) == Verdict()


@given(st.text(max_size=500))
def test_any_text_gets_a_verdict(text: str) -> None:
    found = review(text, Policy.compile({"overall": 4}, ("badger*",), ("oh",)), SHIPPED, False)
    assert found.held is None or found.refused is None
    assert bool(found.categories) == bool(found.held or found.refused)
