"""What people may call themselves and their streams. Pure functions; each raises Invalid with a
code.

A text is taken in NFC, without surrounding white space. Nothing that is invisible, that changes the
direction of what follows, or that piles marks on a letter gets in: names stand beside other
people's names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from core.errors import Invalid

LOGIN = re.compile(r"[a-z0-9][a-z0-9_]{2,24}", re.ASCII)
LOGIN_RULE = (
    "A login has 3 to 25 lower-case letters, digits and underscores, and no underscore first."
)

# First path segments of the web UI, of the edge and of what is planned, and names that would
# mislead. A channel's page is /<login>, so none of these may be one.
RESERVED_LOGINS = frozenset(
    """
    about account activity admin administrator analytics announcements api app apps assets auth
    authorize badges blog browse callback categories category channel channels chat clip clips
    collections communities community contact cookies dashboard developers directory docs
    download downloads dvr embed emotes error events explore faq favicon feed feedback followers
    following footlight forgot games graphql guide healthz help home hooks imprint inbox index
    info instance internal invite jobs json legal library live login logout mail manifest me
    media messages metrics moderation moderator moderators mods news notifications oauth oauth2
    oembed official overlay overlays password people playlists plus policy popout press preview privacy
    profile profiles public raid readyz recovery redirect register report reports reset robots
    root rss rtmp rules safety schedule search security service services session sessions
    settings setup signin signout signup site sitemap staff stat static stats status store
    stream streams studio subscribe subscriptions support system tag tags team teams terms token
    tokens trending unsubscribe upload uploads user users verify video videos viewers vod vods watch
    webhook webhooks websocket well_known widget widgets wiki www
    """.split()
)

TITLE_LENGTH = 140
CATEGORY_LENGTH = 60
TAG_LENGTH = 25
TAG_COUNT = 10
DISPLAY_NAME_LENGTH = 40
BIO_LENGTH = 300
KEY_NAME_LENGTH = 40
DESCRIPTION_LENGTH = 5000
SEARCH_LENGTH = 100
# Vietnamese and Hebrew need two marks on a letter, some languages three; more is decoration.
MARKS_IN_A_ROW = 3
# Everything that is written in lines and is no letter: controls, surrogates, private use,
# unassigned.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# Format characters that scripts and emoji need: zero-width non-joiner and joiner, emoji tag
# characters.
_USEFUL_FORMATS = frozenset({"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))})
# Letters that are drawn as nothing.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
_TAG_PUNCTUATION = frozenset(" '&.+#-_\u200c\u200d")
_LANGUAGE = re.compile(r"[a-z]{2,3}", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"""[^\s@"(),:;<>\[\]\\]{{1,64}}@(?:{_LABEL}\.)*{_LABEL}""")


def clean_text(text: str, limit: int, field: str, *, lines: bool = False) -> str:
    """`text` in NFC and trimmed, at most `limit` code points.

    `lines`: line feeds are kept, else refused.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if len(text) > limit:
        raise Invalid(
            f"This has {len(text)} characters; {limit} are possible.", code="too_long", field=field
        )
    marks = 0
    for character in text:
        if character == "\n" and lines:
            continue
        category = unicodedata.category(character)
        blank = category in _FORBIDDEN_CATEGORIES or character in _BLANK_LETTERS
        if blank or (category == "Cf" and character not in _USEFUL_FORMATS):
            raise Invalid(
                "This holds a character that cannot be shown.",
                code="invalid_character",
                field=field,
            )
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS_IN_A_ROW:
            raise Invalid(
                "This piles too many marks on a letter.", code="invalid_character", field=field
            )
    return text


def _has_letter(text: str) -> bool:
    return any(
        unicodedata.category(character)[0] in "LNS" or character in "!?" for character in text
    )


def clean_login(text: str, field: str = "login") -> str:
    """A login that may be registered. Raises Invalid: `invalid_login`, `login_reserved`."""
    if not LOGIN.fullmatch(text):
        raise Invalid(LOGIN_RULE, code="invalid_login", field=field)
    if text in RESERVED_LOGINS:
        raise Invalid("This login is reserved.", code="login_reserved", field=field)
    return text


def clean_display_name(text: str, field: str = "display_name") -> str:
    """A name as others see it: 1 to 40 characters of any script, at least one of them a letter,
    digit or symbol.
    """
    text = " ".join(clean_text(text, DISPLAY_NAME_LENGTH, field).split())
    if not _has_letter(text):
        raise Invalid("A name needs at least one visible letter.", code="too_short", field=field)
    return text


def clean_bio(text: str, field: str = "bio") -> str:
    """A few words about oneself; may have line breaks."""
    return clean_text(text.replace("\r\n", "\n"), BIO_LENGTH, field, lines=True)


def clean_title(text: str, field: str = "title") -> str:
    """A stream's title; may be empty."""
    return clean_text(text, TITLE_LENGTH, field)


def clean_description(text: str, field: str = "description") -> str:
    """What a video is about; may have line breaks."""
    return clean_text(text.replace("\r\n", "\n"), DESCRIPTION_LENGTH, field, lines=True)


def clean_category(text: str, field: str = "category") -> str | None:
    """A category's name; empty is none."""
    return " ".join(clean_text(text, CATEGORY_LENGTH, field).split()) or None


def clean_tag(text: str, field: str = "tags") -> str:
    """One tag in its canonical form: lower case, single spaces, without a leading `#`."""
    # Lower case first: folding can lengthen a text and undo NFC ("İ" becomes two characters).
    tag = clean_text(
        unicodedata.normalize("NFC", text.strip().removeprefix("#").lower()), TAG_LENGTH, field
    )
    tag = " ".join(tag.split())
    if not tag or not tag[0].isalnum() or not all(map(_may_stand_in_tag, tag)):
        raise Invalid(
            "A tag begins with a letter or digit and has letters, digits, spaces and - ' & . + #.",
            code="invalid_tag",
            field=field,
        )
    return tag


def _may_stand_in_tag(character: str) -> bool:
    # Marks: the vowels of many scripts.
    return unicodedata.category(character)[0] in "LNM" or character in _TAG_PUNCTUATION


def clean_tags(texts: Iterable[str], field: str = "tags") -> list[str]:
    """Up to 10 different tags, in their order."""
    tags = list(dict.fromkeys(clean_tag(text, field) for text in texts))
    if len(tags) > TAG_COUNT:
        raise Invalid(f"{TAG_COUNT} tags are possible.", code="too_many", field=field)
    return tags


def clean_language(text: str, field: str = "language") -> str | None:
    """A language as its primary subtag (ISO 639: `en`, `de`, `yue`); empty is none."""
    text = text.strip().lower()
    if not text:
        return None
    if not _LANGUAGE.fullmatch(text):
        raise Invalid(
            "A language is a code of two or three letters, such as en.",
            code="invalid_language",
            field=field,
        )
    return text


def clean_key_name(text: str, field: str = "name") -> str:
    """The name of a stream key or app token."""
    name = " ".join(clean_text(text, KEY_NAME_LENGTH, field).split())
    if not name:
        raise Invalid("This needs a name.", code="too_short", field=field)
    return name


def clean_words(text: str, limit: int, field: str, *, least: int = 0) -> str:
    """What somebody says to somebody: a reason, a report, a note; may have line breaks."""
    words = clean_text(text.replace("\r\n", "\n"), limit, field, lines=True)
    if len(words) < least:
        raise Invalid("This is missing.", code="too_short", field=field)
    return words


def clean_email(text: str, field: str = "email") -> str:
    """An e-mail address, lower case. Only its form is checked. Raises Invalid: `invalid_email`."""
    text = unicodedata.normalize("NFC", text).strip().lower()
    local, _, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode() if not domain.isascii() else domain
    except UnicodeError:
        ascii_domain = ""
    address = f"{local}@{ascii_domain}"
    shown = all(unicodedata.category(c) not in _FORBIDDEN_CATEGORIES | {"Cf"} for c in local)
    if not shown or len(address) > 254 or not _EMAIL.fullmatch(address):
        raise Invalid("This is not an e-mail address.", code="invalid_email", field=field)
    return address


def clean_password(text: str, login: str, email: str, field: str = "password") -> str:
    """A password that may be set: 8 to 128 characters and not one's own name, in NFC."""
    text = normal_password(text)
    if len(text) < 8:
        raise Invalid(
            "A password has at least 8 characters.", code="password_too_short", field=field
        )
    if len(text) > 128:
        raise Invalid(
            "A password has at most 128 characters.", code="password_too_long", field=field
        )
    if text.lower() in (login, email):
        raise Invalid("A password is not your own name.", code="password_too_easy", field=field)
    return text


def normal_password(text: str) -> str:
    """The one form of a password, however a keyboard composes its letters."""
    return unicodedata.normalize("NFC", text)
