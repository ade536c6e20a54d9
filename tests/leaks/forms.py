"""The forms in which a text can hide in bytes: as it is, escaped for JSON, URLs or HTML, or in base64.

Imports nothing of the product. `found_in` looks for each form of each text as bytes; `Readable` takes the bytes apart
first and compares words, so that mixed escapes, case and white space hide nothing either. Tests use both.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, quote_plus, unquote_plus

_URL_SAFE = str.maketrans("+/", "-_")
_NOT_ALNUM = re.compile(r"[\W_]+")
_JSON_ESCAPE = re.compile(r'\\u[0-9a-fA-F]{4}|\\[nrtbf"\\/]')
_APART = re.compile(rb'(?<!\\)"|[\r\n]+')
_ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{16,}")


@cache
def forms(text: str) -> frozenset[bytes]:
    """Return every form of a text as bytes; base64 in its three alignments, in both alphabets."""
    numeric = "".join(f"&#{ord(each)};" if not each.isalnum() else each for each in text)
    quoted = quote(text, safe="")
    written = {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        quoted,
        re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted),
        quote(text),
        quote_plus(text),
        html.escape(text),
        html.escape(text, quote=False),
        numeric,
        json.dumps(html.escape(text))[1:-1],
        json.dumps(html.escape(text), ensure_ascii=False)[1:-1],
    }
    return frozenset({form.encode() for form in written} | set(encoded(text.encode())))


def encoded(content: bytes) -> list[bytes]:
    """Return what of the base64 form of some bytes is the same whatever stands before and after them."""
    found = []
    for before in range(3):
        coded = base64.b64encode(bytes(before) + content).decode().rstrip("=")
        # The characters that share bits with what stands before or after are cut off.
        first = -(-before * 8 // 6)
        last = (before + len(content)) * 8 // 6
        middle = coded[first:last]
        found += [middle.encode(), middle.translate(_URL_SAFE).encode()]
    return found


def found_in(content: bytes, texts: Iterable[str]) -> list[str]:
    """Return which of the texts stand in the bytes, in any form."""
    return [text for text in texts if any(form in content for form in forms(text))]


def stands_in(content: bytes, number: str) -> bool:
    """Tell whether a number (or another short word) stands in the bytes by itself, not as a part of a longer one."""
    return re.search(rb"(?<![0-9A-Za-z.])" + re.escape(number.encode()) + rb"(?![0-9A-Za-z])", content) is not None


def words_of(text: str) -> str:
    """Return a text as its letters and digits alone, in lower case, one blank in place of everything else."""
    return f" {_NOT_ALNUM.sub(' ', text.casefold()).strip()} "


class Readable:
    """Many bytes, each different piece once, as words without any escape: for many long searches."""

    def __init__(self, contents: Iterable[bytes]) -> None:
        pieces = {piece for content in contents for piece in _APART.split(content)}
        read: set[str] = set()
        for piece in pieces:
            read.update(words_of(each) for each in _readings(piece.decode("utf-8", "replace")))
            for coded in _ENCODED.findall(piece):
                read.update(words_of(each) for each in _decodings(coded))
        self._text = "\n".join(sorted(read))
        self._words = frozenset(_IDS.findall("\n".join(piece.decode("utf-8", "replace") for piece in pieces)))

    def holds(self, text: str) -> bool:
        """Tell whether the words of a text stand there in a row."""
        return words_of(text) in self._text

    def names(self, word: str) -> bool:
        """Tell whether a readable id (`g-sleep`) stands there by itself."""
        return word in self._words


_IDS = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*")


def _readings(text: str) -> set[str]:
    """Return a text with its escapes undone, one kind after another until nothing changes."""
    found = {text}
    for _ in range(3):
        found |= {_unescaped(each) for each in found} | {html.unescape(each) for each in found}
        found |= {unquote_plus(each) for each in found if "%" in each or "+" in each}
    return found


def _unescaped(text: str) -> str:
    def char(found: re.Match[str]) -> str:
        escape = found[0]
        return (
            chr(int(escape[2:], 16))
            if escape[1] == "u"
            else {"n": "\n", "r": "\r", "t": "\t"}.get(escape[1], escape[1])
        )

    return _JSON_ESCAPE.sub(char, text) if "\\" in text else text


def _decodings(coded: bytes) -> set[str]:
    plain = coded.translate(bytes.maketrans(b"-_", b"+/"))
    found = set()
    for start in range(4):
        part = plain[start:]
        try:
            found.add(base64.b64decode(part[: len(part) // 4 * 4]).decode("utf-8", "ignore"))
        except ValueError:
            continue
    return found
