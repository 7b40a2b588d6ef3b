"""Links in a text: hosts that a reader could go to, also as people write them around a filter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

# Ends of names that are bought for web sites, and of countries; two-letter ends that are more often the end of
# a file's name or a word ("main.rs", "asap.so") count only with a path behind them.
_GENERIC = (
    "com net org info biz name pro mobi app dev io gg tv me ly co xyz online site store shop club live link "
    "top vip win fun icu art blog cloud games game stream video wiki world zone news chat social media"
).split()
_COUNTRIES = (
    "ac ad ae af ag ai al ar at au az ba bd be bg bo br by ca cc ch ci cl cn cr cu cy cz de dk do dz ec ee eg es "
    "eu fi fm fr ge gl gr gt hk hn hr hu id ie il ir is it je jo jp ke kr kw kz la lb li lk lt lu lv ma mc md mk "
    "mn mt mu mx my na ng nl no np nu nz om pa pe ph pk pl pr ps pt qa re ro rs ru sa sc se sg sh si sk sm sn so "
    "st su sv sy th tj tm tn to tr tw tz ua ug uk us uy uz va ve vn ws za zm zw"
).split()
_AMBIGUOUS = frozenset(
    "ac ad ai al as at be ci do id is it la li md me mk my no pe pl ps re rs sc sh so st to us va".split()
)
_ENDS = frozenset(_GENERIC) | frozenset(_COUNTRIES) | {"рф", "укр", "бг"}
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
# Every repetition is bounded or followed by what it cannot itself match: linear on any text.
_HOST = re.compile(
    rf"(?<![\w-])(?P<scheme>[a-z][a-z0-9+]{{1,11}}://)?(?:[^\s/@]{{1,64}}@)?"
    rf"(?P<host>{_LABEL}(?:\.{_LABEL}){{1,8}}|\[[0-9a-f:]{{2,45}}\])(?P<rest>:[0-9]{{1,5}}|/[^\s]?|\?)?"
)
_SPELLED_DOT = re.compile(r" ?[\[({] ?(?:\.|dot|punkt|point|punto) ?[\])}] ?| dot (?=[a-z]{2,6}\b)")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


def hosts(text: str) -> list[str]:
    """Hosts that `text` links to, in lower case, in their order."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).lower().replace("。", ".")
    plain = _SPELLED_DOT.sub(".", plain)
    if "." not in plain and "://" not in plain:
        return []
    return [
        found["host"]
        for found in _HOST.finditer(plain)
        if found["scheme"] or _is_host(found["host"], found["rest"] or "")
    ]


def _is_host(host: str, rest: str) -> bool:
    if host.startswith("www."):
        return True
    if _ADDRESS.fullmatch(host):
        return bool(rest)
    end = host.rpartition(".")[2]
    if (end not in _ENDS and not end.startswith("xn--")) or host.rpartition(".")[0].isdecimal():
        return False
    return end not in _AMBIGUOUS or rest.startswith("/") or host.count(".") > 1


def is_permitted(host: str, permitted: Collection[str]) -> bool:
    """Whether `host` is one of `permitted` or below one of them."""
    labels = host.split(".")
    return any(".".join(labels[index:]) in permitted for index in range(len(labels)))
