"""Reading exact JSON: how deep a text may be nested."""

from __future__ import annotations

import pytest

from fhirgoals.errors import BadJson
from fhirgoals.fhir.exact_json import MAX_DEPTH, dumps, loads


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, "[" * 199 + "1" + "]" * 199, '{"a":' * 199 + "1" + "}" * 199])
def test_as_deep_as_allowed_is_read(text: str) -> None:
    """Two hundred levels are read, from text and from bytes; a value in the innermost list is a level too."""
    assert MAX_DEPTH == 200
    assert dumps(loads(text)) == dumps(loads(text.encode())) == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 201 + "]" * 201,
        "[" * 200 + "1" + "]" * 200,
        '{"a":' * 200 + "1" + "}" * 200,
        '[{"a":' * 101 + "1" + "}]" * 101,
    ],
)
def test_deeper_is_refused(text: str) -> None:
    """One level more is refused, whether lists or objects make it."""
    for given in (text, text.encode()):
        with pytest.raises(BadJson, match="nested deeper than 200 levels"):
            loads(given)


def test_many_brackets_are_no_depth() -> None:
    """Brackets side by side or within strings do not count as levels."""
    wide = b"[" + b",".join([b'{"a":["[[[[{{{{"]}'] * 300) + b"]"

    assert dumps(loads(wide)) == wide
