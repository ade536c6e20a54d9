"""The generated reference pages are the ones in the repository, and they are complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirgoals.docs.__main__ import main
from fhirgoals.docs.model import every_record
from fhirgoals.docs.pages import PAGES
from fhirgoals.docs.rules import RULES
from fhirgoals.domain import fields, lifecycle, records
from fhirgoals.domain.smart_reasons import REASONS
from fhirgoals.sandbox.variants import VARIANTS

ROOT = Path(__file__).parents[2]
SOURCES = (*sorted((ROOT / "fhirgoals/domain/invariants").glob("*.py")), ROOT / "fhirgoals/domain/warnings.py")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_what_the_code_says(name: str) -> None:
    """The file in `docs/reference` is what `python -m fhirgoals.docs` writes: run it after a change."""
    assert (ROOT / "docs/reference" / name).read_text(encoding="utf-8") == PAGES[name]()


def test_the_pages_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes every page into a folder, and a second time has nothing to write."""
    assert main([str(tmp_path / "pages")]) == 0
    assert capsys.readouterr().out == "written: model.md\nwritten: disclosure.md\nwritten: sandbox.md\n"
    assert {page.name for page in (tmp_path / "pages").iterdir()} == set(PAGES)
    assert main([str(tmp_path / "pages")]) == 0
    assert capsys.readouterr().out == "unchanged: model.md\nunchanged: disclosure.md\nunchanged: sandbox.md\n"


def test_every_record_and_field_is_on_the_page() -> None:
    """Each record has its table with each of its fields, and links lead to a heading."""
    text = PAGES["model.md"]()
    kinds = {getattr(records, name) for name in records.__all__}
    assert {each for each in kinds if isinstance(each, type) and issubclass(each, records.Record)} - {
        records.Record
    } == set(every_record())
    for kind in every_record():
        section = text.split(f"\n## {kind.__name__}\n")[1].split("\n## ")[0]
        for field in records.fields_of(kind):
            assert f"| `{field.encode_name}` |" in section
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_every_row_of_the_table_is_on_the_page() -> None:
    """Each field of the table stands under what happens to it, and nothing stands among both."""
    text = PAGES["disclosure.md"]()
    never = text.split("## What never leaves")[1].split("\n## ")[0]
    sent = text.split("## What stops it")[1].split("## What never leaves")[0]
    for row in fields.FIELDS:
        line = f"\n| `{row.record}.{row.field}` |"
        if row.record == "Wire":
            continue
        if row.sent == "never":
            assert re.search(rf"^\| {row.record} \|.*`{row.field}`", never, re.MULTILINE)
            assert line not in sent
        else:
            assert line in sent


def test_every_state_and_reason_is_on_the_page() -> None:
    """The state machines and the SMART reasons are whole."""
    text = PAGES["model.md"]()
    for machine in (lifecycle.GOAL, lifecycle.PLAN, lifecycle.STEP, lifecycle.SIGNATURE, lifecycle.CONSENT):
        assert all(f"| `{state}` |" in text for state in machine)
    assert all(f"| `{code}` |" in text for code in REASONS)


def test_every_variant_is_on_the_page() -> None:
    """Each variant of the sandbox has its row with its source."""
    rows = PAGES["sandbox.md"]().splitlines()
    for name, variant in VARIANTS.items():
        assert [row for row in rows if row.startswith(f"| `{name}` |") and row.endswith(f"{variant.source} |")]


def test_no_page_holds_a_word_of_a_plan() -> None:
    """The pages come from code and tables alone, and end in one line break."""
    for page in PAGES.values():
        assert "SENTINEL" not in page()
        assert page().endswith("\n")
        assert not page().endswith("\n\n")


def literal(node: ast.expr) -> str | None:
    """A string as a pattern: what an f-string fills in is `.+`."""
    match node:
        case ast.Constant(value=str() as text):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
        case _:
            return None


def found_codes() -> Iterator[tuple[str, int | None]]:
    """The code (as a pattern) and number of each finding that the modules make."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Finding", "TimeWarning", "of_goal")
            ):
                arguments = node.args[1:] if node.func.id == "of_goal" else node.args
                code, number = literal(arguments[0]), arguments[1]
                if code is not None:
                    value = number.value if isinstance(number, ast.Constant) else None
                    yield code, value if isinstance(value, int) else None


def test_the_rules_are_those_of_the_code() -> None:
    """Each code that the modules can give is in the table under its number, and each row of it is one of theirs."""
    found = set(found_codes())
    assert len(found) > 50
    for code, number in found:
        rows = [rule for rule in RULES if re.fullmatch(code, rule.code)]
        assert rows, f"{code} is missing in fhirgoals/docs/rules.py"
        assert number is None or number in {rule.invariant for rule in rows}
    said = [
        pattern
        for source in (*SOURCES, Path(lifecycle.__file__))
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.expr) and (pattern := literal(node))
    ]
    for rule in RULES:
        numbers = {number for code, number in found if re.fullmatch(code, rule.code)}
        assert numbers & {rule.invariant, None} or re.escape(rule.code) in said, f"{rule.code} is no rule of the code"
        assert any(re.fullmatch(pattern, rule.sentence) for pattern in said), f"{rule.code} says something else"
    assert len({rule.code for rule in RULES}) == len(RULES)
