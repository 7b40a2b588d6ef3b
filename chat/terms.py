"""Texts folded to what a reader sees, and terms found in them in linear time.

Folding: NFKD, marks and invisible characters removed, case folded, look-alikes of other scripts turned into
Latin letters, runs of a letter collapsed (whether it stood twice is kept, so that "as" is not "ass" while
"asssss" is). A text has up to three readings: the plain one, and two in which digits and signs inside a
word are letters and words spelled in single letters are joined ("f.r-0 g" is frog). Words are what stands
between anything that is no letter, digit, or symbol; scripts that are written without spaces count every
character as a word, so that a term of theirs is found anywhere.

A term is one or more words; `*` at a word's start or end stands for any continuation. Terms are found by an
Aho-Corasick automaton over the words and, for several words, by bit-parallel matching over its findings:
time grows with the text's length, whatever the terms are. No regular expression is made from a term.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from chat.confusables import AT_A_GLANCE, SKELETON, STROKES
from core.errors import Invalid

T = TypeVar("T")
TERM_MIN_LENGTH, TERM_MAX_LENGTH = 2, 500
# Letters that are drawn as nothing; the rest of what is invisible has a category of its own.
_BLANK = frozenset(map(ord, "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5"))
# Han, kana, Yi, Thai, Lao, Myanmar, Khmer.
_SPACELESS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F), (0x31A0, 0xA4CF),
    (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip
_RUN = re.compile(r"([^ 0-9])\1")
# A stroke may be an i or an l.
_GLANCE = {stroke: AT_A_GLANCE | {ord(sign): stroke for sign in STROKES} for stroke in "il"}
_GLANCE_SIGNS = frozenset(map(chr, AT_A_GLANCE)) | frozenset(STROKES)


class Reading(NamedTuple):
    """One way to read a text. `words` has a space before, between and after the words, and no letter twice
    in a row; bit n of `doubles` says that the character at n stood at least twice.
    """

    words: str
    doubles: int


Folded = tuple[Reading, ...]


def _spaceless(code: int) -> bool:
    return code >= 0x0E00 and any(first <= code <= last for first, last in _SPACELESS)


def _folded_character(code: int) -> str:
    """What stands for a character of decomposed, case-folded text; a space where it only separates."""
    if code in SKELETON:
        return SKELETON[code]
    if code in _BLANK:
        return ""
    character = chr(code)
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Cf"):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "So" or (category[0] in "LN" and _spaceless(code)):
        return f" {character} "
    return character if category[0] in "LN" or category == "Mc" else " "


class _Table(dict[int, str]):
    """For `str.translate`. Holds common scripts; the rest is worked out each time, since a table that grew
    with what strangers write would have no bound.
    """

    def __missing__(self, code: int) -> str:
        return _folded_character(code)


_TABLE = _Table((code, _folded_character(code)) for code in range(0x0600))


def _plain(text: str) -> list[str]:
    """The words of a text."""
    if not text.isascii():
        # Twice: folding case can bring back what decomposes (as the Unicode Standard's NFKC_Casefold has it).
        text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        # A letter's folded form may itself be something that folds (Ꭰ and ꭰ).
        return text.translate(_TABLE).casefold().translate(_TABLE).split()
    return text.lower().translate(_TABLE).split()


def _at_a_glance(text: str, stroke: str) -> list[str]:
    """The words when signs inside a word are letters, and letters that stand alone are joined."""
    table = _GLANCE[stroke]
    words: list[str] = []
    singles: list[str] = []
    for token in text.split():
        # A mention is a name and no word with an "a" before it; a mark of exclamation ends a sentence.
        token = token.removeprefix("@").rstrip("!")
        if any(map(str.isalpha, token)) and not _GLANCE_SIGNS.isdisjoint(token):
            token = token.translate(table)
        pieces = _plain(token)
        if all(map(_is_short, pieces)) and max(map(len, pieces), default=0) == 2:
            pieces = ["".join(pieces)]
        for piece in pieces:
            if len(piece) == 1 and _is_short(piece):
                singles.append(piece)
                continue
            words += _join_singles(singles, table)
            words.append(piece)
    return words + _join_singles(singles, table)


def _is_short(piece: str) -> bool:
    return len(piece) <= 2 and not _spaceless(ord(piece[0])) and piece[0].isalnum()


def _join_singles(singles: list[str], table: dict[int, str]) -> list[str]:
    """Empties `singles`; three and more letters that stand alone are a word that is spelled."""
    found = list(singles)
    singles.clear()
    if len(found) < 3 or "".join(found).isdecimal():
        return found
    return ["".join(found).translate(table)]


def _collapse(words: list[str]) -> Reading:
    text = f" {' '.join(words)} " if words else " "
    if _RUN.search(text) is None:
        return Reading(text, 0)
    kept: list[str] = []
    doubles = 0
    last = ""
    for character in text:
        # A number with a repeated digit is another number.
        if character == last and not character.isdecimal():
            doubles |= 1 << (len(kept) - 1)
        else:
            kept.append(character)
            last = character
    return Reading("".join(kept), doubles)


def fold(text: str) -> Folded:
    """The readings of a text, the plain one first."""
    decomposed = text if text.isascii() else unicodedata.normalize("NFKD", text)
    plain = _plain(text)
    found = [plain]
    for stroke in _GLANCE:
        words = _at_a_glance(decomposed, stroke)
        if words not in found:
            found.append(words)
        if not any(sign in decomposed for sign in STROKES):
            break
    return tuple(map(_collapse, found))


class _Word(NamedTuple):
    """A word of a term: with its boundaries as spaces, `doubles` as in Reading."""

    pattern: str
    doubles: int


@dataclass(frozen=True, slots=True)
class Term:
    """A blocked or permitted term, ready to be looked for. Terms with the same `folded` are the same."""

    text: str
    words: tuple[_Word, ...]
    folded: str

    @classmethod
    def parse(cls, text: str, field: str = "text") -> Term:
        """A term as a moderator writes it. Raises Invalid: `invalid_term`."""
        text = " ".join(unicodedata.normalize("NFC", text).split())
        if not TERM_MIN_LENGTH <= len(text) <= TERM_MAX_LENGTH:
            raise Invalid("A term has 2 to 500 characters.", code="invalid_term", field=field)
        words: list[_Word] = []
        for part in text.split(" "):
            words += _words_of_term(part, field)
        letters = sum(len(word.pattern.strip()) + word.doubles.bit_count() for word in words)
        if not letters or (letters < 2 and "*" in text):
            raise Invalid(
                "A term needs a letter or digit, and two where a * stands.",
                code="invalid_term",
                field=field,
            )
        return cls(text, tuple(words), _canonical(words))


def _words_of_term(part: str, field: str) -> list[_Word]:
    core = part.strip("*")
    if "*" in core:
        raise Invalid(
            "A * stands only at the start or the end of a word.", code="invalid_term", field=field
        )
    folded = _plain(core)
    if not folded and "*" in part:
        raise Invalid("A * needs a word beside it.", code="invalid_term", field=field)
    words = []
    for index, word in enumerate(folded):
        before = "" if index == 0 and part.startswith("*") else " "
        after = "" if index == len(folded) - 1 and part.endswith("*") else " "
        reading = _collapse([word])
        # The reading has a space on both sides.
        skipped = 1 - len(before)
        pattern = before + reading.words[1:-1] + after
        words.append(_Word(pattern, reading.doubles >> skipped))
    return words


def _canonical(words: Iterable[_Word]) -> str:
    shown = []
    for pattern, doubles in words:
        letters = "".join(
            letter * (1 + (doubles >> index & 1)) for index, letter in enumerate(pattern)
        )
        before = "" if letters.startswith(" ") else "*"
        after = "" if letters.endswith(" ") else "*"
        shown.append(f"{before}{letters.strip()}{after}")
    return " ".join(shown)


class Match(NamedTuple, Generic[T]):
    """A term that was found: its value, in which reading, and its first and last word there."""

    value: T
    reading: int
    first: int
    last: int


class Matcher(Generic[T]):
    """Terms, each with a value that tells the caller which one it was."""

    def __init__(self, terms: Iterable[tuple[Term, T]] = ()) -> None:
        self._goto: list[dict[str, int]] = [{}]
        self._fail = [0]
        # Bits of words that end at a node whatever stood twice, and those that ask for it.
        self._bits = [0]
        self._checks: list[list[tuple[int, int, int]]] = [[]]
        self._starts = self._ends = 0
        self._by_end: dict[int, tuple[T, int]] = {}
        bit = 0
        for term, value in terms:
            self._starts |= 1 << bit
            for word in term.words:
                self._add(word, 1 << bit)
                bit += 1
            self._ends |= 1 << (bit - 1)
            self._by_end[bit - 1] = (value, len(term.words))
        self._link()

    def __bool__(self) -> bool:
        return bool(self._by_end)

    def find(self, folded: Folded) -> Iterator[Match[T]]:
        """Every term in every reading of a text."""
        if self._by_end:
            for index, reading in enumerate(folded):
                yield from self._find(index, reading)

    def _find(self, index: int, reading: Reading) -> Iterator[Match[T]]:
        node = state = seen = 0
        word = -1
        goto, fail, bits, checks = self._goto, self._fail, self._bits, self._checks
        for position, character in enumerate(reading.words):
            while node and character not in goto[node]:
                node = fail[node]
            node = goto[node].get(character, 0)
            seen |= bits[node]
            for wanted, length, found in checks[node]:
                if reading.doubles >> (position + 1 - length) & wanted == wanted:
                    seen |= found
            if character == " ":
                # A word has ended; each term goes on where this word is its next one.
                state = (state << 1 | self._starts) & seen
                yield from self._matches(state & self._ends, index, word)
                seen = 0
                word += 1

    def _matches(self, ended: int, index: int, word: int) -> Iterator[Match[T]]:
        while ended:
            lowest = ended & -ended
            value, length = self._by_end[lowest.bit_length() - 1]
            yield Match(value, index, word - length + 1, word)
            ended ^= lowest

    def _add(self, word: _Word, bit: int) -> None:
        node = 0
        for character in word.pattern:
            following = self._goto[node].get(character)
            if following is None:
                following = len(self._goto)
                self._goto[node][character] = following
                self._goto.append({})
                self._fail.append(0)
                self._bits.append(0)
                self._checks.append([])
            node = following
        if word.doubles:
            self._checks[node].append((word.doubles, len(word.pattern), bit))
        else:
            self._bits[node] |= bit

    def _link(self) -> None:
        """Give each node its longest proper suffix that is a node, breadth first, and what ends there."""
        queue = list(self._goto[0].values())
        for node in queue:
            for character, following in self._goto[node].items():
                queue.append(following)
                suffix = self._fail[node]
                while suffix and character not in self._goto[suffix]:
                    suffix = self._fail[suffix]
                self._fail[following] = self._goto[suffix].get(character, 0)
                self._bits[following] |= self._bits[self._fail[following]]
                self._checks[following] += self._checks[self._fail[following]]
