"""Characters that are read as Latin letters; put together by us, by eye, from the code charts.

`SKELETON` is for text that is decomposed (NFKD), case-folded and without marks, so only base letters in lower
case stand in it (and Cherokee, which folds to upper case). `AT_A_GLANCE` is what a reader makes of digits,
signs and Greek capitals inside a word; it is tried besides, for a digit is not always a letter.
"""

from __future__ import annotations

_ALIKE = (
    # Cyrillic
    ("авгԁеєэһніјкӏмпорԛѕтиѵԝшхуүсь", "abrdeeehhijklmnopqstuvwwxyycb"),
    # Greek, as its small letters look
    ("αβγεηικμνορστυχω", "abyenikuvopotuxw"),
    # Armenian
    ("օսհոցզքյռէ", "ouhngqfjnt"),
    # Cherokee
    ("ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᎩᏃ", "abcdeghijklmprstvwyz"),
    # Small capitals of phonetics
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),
    # Latin letters with strokes, hooks and turns, which do not decompose
    ("ɑɐƀƈđɖɗɛəǝɜƒɡɠħɦıɨɩȷʝƙłɫɭɱŋɲƞøɵɔ", "aabcdddeeeefgghhiiijjklllmnnnooo"),
    ("ƥɽɾʂʃŧƭʉʊʋɣƴƶʐʒðþ", "prrssttuuvyyzzzdp"),
)
_SIGNS = ("0345789@$€+", "oeastbgaset")
_GREEK_CAPITALS = ("ΗΜΝΥΖ", "hmnyz")


def _table(*rows: tuple[str, str]) -> dict[int, str]:
    return {
        ord(look): letter
        for looks, letters in rows
        for look, letter in zip(looks, letters, strict=True)
    }


def _enclosed() -> dict[int, str]:
    """Regional indicators (flags) and letters in circles and squares that do not decompose."""
    firsts = (0x1F1E6, 0x1F150, 0x1F170)
    return {first + n: chr(ord("a") + n) for first in firsts for n in range(26)}


SKELETON = _table(*_ALIKE) | _enclosed() | {ord("æ"): "ae", ord("œ"): "oe"}
AT_A_GLANCE = _table(_SIGNS, _GREEK_CAPITALS)
# A stroke is an i or an l.
STROKES = "1!|"
