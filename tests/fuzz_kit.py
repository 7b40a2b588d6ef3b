"""Inputs for the fuzzers of chat: mutations of lines, frames and texts that are right."""

from __future__ import annotations

import random

from chat import commands

ID = "0d3f0f2e-52c8-4cc9-a9f0-0f6f6c9c5d11"
LINES = [
    "CAP REQ :twitch.tv/tags twitch.tv/commands", "CAP LS 302", "PASS oauth:flat_1_abc", "NICK bot",
    "JOIN #ann,#ben", "PART #ann", "PRIVMSG #ann :hello there", "PING :tmi.twitch.tv", "QUIT :bye",
    f"@reply-parent-msg-id={ID};client-nonce=a\\sb PRIVMSG #ann :\x01ACTION waves\x01",
    "@a=b\\:c;d= :ann!ann@ann.tmi.twitch.tv PRIVMSG #ann :/timeout ben 10m spam",
]  # fmt: skip
FRAMES = [
    '{"type":"hello","token":"x"}', '{"type":"join","channel":"ann","since":5,"epoch":"e"}',
    '{"type":"part","channel":"ann"}', '{"type":"ping","t":1.5}',
    f'{{"type":"say","channel":"ann","text":"hi \\ud83d\\udc4b","nonce":"n","reply_to":"{ID}"}}',
    '{"type":"vote","channel":"ann","poll":"1","choice":0}', '{"type":"ack_warning","channel":"ann"}',
    '{"type":"say","channel":"ann","text":"/poll 60 Tea? | Yes | No"}',
]  # fmt: skip
TEXTS = [
    *(f"/{name} ann 1d2h x | y | z {ID}" for name in commands.NAMES), "see example[.]com/x ,ok",
    "f.r.0 g 🇫🇷 ＦＲＯＧ fгоǵ", "死ね * ** a* *b", "http://[::1]:80/@a.b", "ﷺﷺ ſ ß İ ŉ",
]  # fmt: skip
SPLICES = [
    "", " ", "  ", ":", "@", "#", ";", "=", "\\", "\\s", "\r", "\n", "\0", "\x01", '"', "{", "}", "[" * 40, "null",
    "-1", "1e999", "9" * 40, "é", "\u200b", "\u202e", "\ufeff", "\U0001f468\u200d", "a" * 600, "\ud800", ",", "*",
    "\u0301" * 30, "ﷺ", "Ꭰ", "/", ".", "|", "١٢", "true", "\\u0000", "\\ud800",
]  # fmt: skip


def mutated(seeds: list[str], chance: random.Random) -> str:
    """A seed, cut, spliced, repeated and scrambled a few times."""
    text = chance.choice(seeds)
    for _ in range(chance.randrange(1, 5)):
        at, to = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        match chance.randrange(6):
            case 0:
                text = text[:at] + chance.choice(SPLICES) + text[at:]
            case 1:
                text = text[:at] + text[to:]
            case 2:
                text = text[:to] + text[at:]
            case 3:
                text = (
                    text[:at]
                    + chr(chance.choice((chance.randrange(128), chance.randrange(0xD800))))
                    + text[to:]
                )
            case 4:
                text = text[:at] + chance.choice(seeds)[at:]
            case 5:
                text = text[:at] + text[at:to].swapcase() + text[to:]
        text = text[:20_000]
    return text
