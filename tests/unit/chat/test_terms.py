"""Folding and finding terms: what is found, what is not, and that it takes linear time."""

from __future__ import annotations

import string
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.terms import Match, Matcher, Term, fold
from core.errors import Invalid


def is_found(term: str, text: str) -> bool:
    return any(Matcher([(Term.parse(term), term)]).find(fold(text)))


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("frog", "a Frog!"),
        ("frog", "fr\u200bo\u0301g"),
        ("frog", "ＦＲＯＧ"),
        ("frog", "𝓯𝓻𝓸𝓰"),
        ("frog", "fгоg"),
        ("frog", "🇫🇷🇴🇬"),
        ("frog", "frooooog"),
        ("frog", "fr0g"),
        ("frog", "f.r.o.g"),
        ("frog", "f r o g"),
        ("frog", "fr-og"),
        ("frog", "frog..."),
        ("hate*", "ΗΑΤΕ"),
        ("*frog", "bullfrog"),
        ("frog*", "froggy"),
        ("*rog*", "froggy"),
        ("green frog*", "Green,   frogs"),
        ("*een fr*", "Green,   frogs"),
        ("ass", "asssss"),
        ("hello", "he11o"),
        ("死ね", "お前死ねよ"),
        ("🖕🖕", "so🖕🖕!"),
        ("e-mail", "my e-mail"),
        ("straße", "STRASSE"),
        ("100", "the 100 best"),
        ("c++", "c"),
    ],
)
def test_a_term_is_found(term: str, text: str) -> None:
    assert is_found(term, text)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("frog", "frogs"),
        ("frog", "bullfrog"),
        ("frog*", "bullfrog"),
        ("*frog", "froggy"),
        ("green frog", "green and frog"),
        ("green frog", "frog green"),
        ("ass", "as"),
        ("niger", "nig er"),
        ("hello", "helo"),
        ("100", "1000"),
        ("2 2", "z z"),
        ("ann", "@anna"),
    ],
)
def test_a_term_is_not_found(term: str, text: str) -> None:
    assert not is_found(term, text)


@pytest.mark.parametrize(
    "text", ["", "a", "a" * 501, "**", "a*", "fr*g", "* frog", "!!", "\u200b\u200b"]
)
def test_what_is_no_term(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Term.parse(text)
    assert refused.value.code == "invalid_term"


@pytest.mark.parametrize(
    ("one", "other"), [("Frog", "FROG"), ("frog  *fly", "fróg *FLY"), ("asss", "ass"), ("as", "As")]
)
def test_terms_that_are_the_same(one: str, other: str) -> None:
    assert Term.parse(one).folded == Term.parse(other).folded


def test_what_a_term_is_called_when_folded() -> None:
    assert Term.parse("*Gréen  FROG*").folded == "*green frog*"
    assert Term.parse("as").folded != Term.parse("ass").folded


def test_a_match_says_which_words() -> None:
    matcher = Matcher([(Term.parse("green frog"), 7), (Term.parse("fro*"), 8)])
    found = set(matcher.find(fold("one green frog")))
    assert found == {Match(7, 0, 1, 2), Match(8, 0, 2, 2)}


WORDS = st.text(string.ascii_lowercase, min_size=2, max_size=8)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(WORDS, ANY)
def test_a_word_is_found_among_any_others(word: str, other: str) -> None:
    assert is_found(word, f"{other} {word} ")


@given(WORDS, st.data())
def test_no_disguise_helps(word: str, data: st.DataObject) -> None:
    """Case, marks, invisible characters, width and stretching change nothing."""
    disguised = ""
    for letter in word:
        shape = data.draw(st.sampled_from((letter, letter.upper(), chr(ord(letter) + 0xFEE0))))
        noise = data.draw(st.text("\u0301\u0336\u200b\u2060\ufe0f", max_size=3))
        disguised += shape * data.draw(st.integers(1, 4)) + noise
    assert is_found(word, disguised)


@given(ANY)
def test_folding_is_stable(text: str) -> None:
    folded = fold(text)
    assert 1 <= len(folded) <= 3
    for reading in folded:
        assert reading.words[0] == reading.words[-1] == " "
        assert "  " not in reading.words
        assert reading.doubles < 1 << len(reading.words)
        assert fold(reading.words)[0].words == reading.words


@given(ANY)
def test_normal_forms_read_the_same(text: str) -> None:
    assert (
        fold(unicodedata.normalize("NFC", text))[0] == fold(unicodedata.normalize("NFD", text))[0]
    )


@given(ANY)
@example("가\u0300")
def test_any_text_is_a_term_or_a_reason(text: str) -> None:
    try:
        term = Term.parse(text)
    except Invalid as refused:
        assert refused.code == "invalid_term"
        return
    # A Korean syllable is two letters when folded, and one when it is written again.
    if 2 <= len(unicodedata.normalize("NFC", term.folded)) <= 500:
        assert Term.parse(term.folded).folded == term.folded
    assert is_found(text, text.replace("*", ""))


@given(
    st.lists(
        st.tuples(WORDS, st.sampled_from(("{}", "{}*", "*{}", "*{}*"))), min_size=1, max_size=6
    )
)
def test_terms_do_not_get_into_each_others_way(shapes: list[tuple[str, str]]) -> None:
    terms = [shape.format(word) for word, shape in shapes]
    text = " ".join(f"x{word}x {word} y{word} {word}y" for word, _ in shapes)
    together = {
        match.value for match in Matcher((Term.parse(t), t) for t in terms).find(fold(text))
    }
    assert together == {term for term in terms if is_found(term, text)} == set(terms)


@pytest.mark.parametrize(
    "piece", ["a", "ab", "a ", "a.", "1", "aa ", "é", "ﷺ", "a1", "@", "🇦", "*"]
)
def test_time_grows_with_the_text(piece: str) -> None:
    """Terms that share long beginnings and ends, on a text that is all beginnings."""
    terms = [f"{'ab' * n}c*" for n in range(1, 60)] + ["a " * n + "b" for n in range(1, 60)]
    matcher = Matcher((Term.parse(term), term) for term in terms)

    def cost(length: int) -> float:
        text = (piece * length)[:length]
        samples = []
        for _ in range(5):
            began = time.process_time()
            any(matcher.find(fold(text)))
            samples.append(time.process_time() - began)
        return min(samples)

    # Ten times the text may take forty times as long before this fails: the machine may be busy.
    assert cost(5000) < 40 * max(cost(500), 50e-6)
