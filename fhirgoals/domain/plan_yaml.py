"""YAML text to and from a plain tree, for plan files: no tags, no anchors, one document, numbers with their digits.

The tree is built straight from the parser's events, so nothing in a hostile file can recurse, expand or construct.
A message gives a path or a line and a rule, never a value of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeAlias

import yaml

from fhirgoals.errors import BadPlan

Value: TypeAlias = "dict[str, Value] | list[Value] | str | bool | int | Decimal | date | None"

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 200_000
MAX_DIGITS = 40

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}\Z")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})


class Unreadable(BadPlan):
    """A text that can't be read as a tree: where (a path, or the empty path), and which rule it breaks."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(f"{path}: {rule}" if path else rule)
        self.path = path
        self.rule = rule


def decoded(text: str | bytes) -> str:
    """Return the text of a plan file; raises `Unreadable` where it is too big, not UTF-8, binary or empty."""
    if len(text) > MAX_BYTES:
        raise Unreadable("", f"is larger than {MAX_BYTES // (1024 * 1024)} MiB: split it, one plan a file")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Unreadable("", f"is not UTF-8 at byte {error.start}: save it as UTF-8") from None
    text = text.removeprefix("\ufeff")
    checked_text(text)
    if not text.strip():
        raise Unreadable("", "is empty")
    return text


def checked_text(text: str) -> None:
    """Raise `Unreadable` for a text that no store or EHR can hold: NUL, or half a character."""
    found = _UNSTORABLE.search(text)
    if found is None:
        return
    if found[0] == "\x00":
        raise Unreadable("", "holds NUL characters: it is no text, or not UTF-8")
    raise Unreadable("", "holds half a character (a lone surrogate): save it as UTF-8")


def shown_key(key: str) -> str:
    """Return a key as a message may show it: words only, since anything else could be a value in the wrong place."""
    return key if _WORD.match(key) else "(a key that is no word)"


def joined(path: str, key: str | int) -> str:
    """Return the path of a member: `goals[3].text`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{shown_key(key)}" if path else shown_key(key)


def is_too_long(number: Decimal | int) -> bool:
    """Tell whether a number's size could be used to stall us."""
    if isinstance(number, int):
        return len(str(abs(number))) > MAX_DIGITS
    _, digits, exponent = number.as_tuple()
    return len(digits) > MAX_DIGITS or not isinstance(exponent, int) or abs(exponent) > MAX_DIGITS


def _tag(text: str) -> str:
    """The kind of a plain scalar. Narrower than YAML 1.1: `no`, `07:00` and `007` are text."""
    if text in _NULLS:
        return "tag:yaml.org,2002:null"
    if text in _TRUE or text in _FALSE:
        return "tag:yaml.org,2002:bool"
    if _INT.match(text):
        return "tag:yaml.org,2002:int"
    if _DECIMAL.match(text):
        return "tag:yaml.org,2002:float"
    if _DATE.match(text):
        return "tag:yaml.org,2002:timestamp"
    return "tag:yaml.org,2002:str"


def _plain(text: str, path: str) -> Value:
    """What a scalar without quotes stands for."""
    match _tag(text).rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text in _TRUE
        case "int" | "float" as kind:
            if len(text) > 2 * MAX_DIGITS or is_too_long(number := int(text) if kind == "int" else Decimal(text)):
                raise Unreadable(path, "is too long for a number")
            return number
        case "timestamp":
            try:
                return date.fromisoformat(text)
            except ValueError:
                raise Unreadable(path, "is no day of the calendar") from None
        case _:
            return text


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is still open; `key` is the mapping's key whose value comes next."""

    path: str
    mapping: dict[str, Value] | None = None
    items: list[Value] = field(default_factory=list)
    key: str | None = None

    def next_path(self) -> str:
        if self.mapping is None:
            return joined(self.path, len(self.items))
        return self.path if self.key is None else joined(self.path, self.key)

    def take_key(self, key: str) -> None:
        if self.mapping is not None and key in self.mapping:
            raise Unreadable(joined(self.path, key), "stands twice: remove one")
        self.key = key

    def take(self, value: Value) -> None:
        if self.mapping is None:
            self.items.append(value)
        elif self.key is not None:
            self.mapping[self.key] = value
            self.key = None
        else:
            raise Unreadable(self.path, "a key must be a word, not a list or mapping")


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            raise Unreadable("", "is no YAML") from None
        line = text.splitlines()[mark.line : mark.line + 1]
        tab = bool(line) and "\t" in line[0][: len(line[0]) - len(line[0].lstrip())]
        rule = "a tab stands in the indentation: use spaces" if tab else "the YAML is broken here"
        if "nesting depth" in (error.problem or ""):
            rule = f"nests more than {MAX_DEPTH} levels"
        raise Unreadable("", f"line {mark.line + 1}, column {mark.column + 1}: {rule}") from None
    except yaml.YAMLError:
        raise Unreadable("", "holds a control character that YAML does not allow") from None


def read_tree(text: str) -> Value:
    """Return the one document of a YAML text as dicts, lists and scalars; raises `Unreadable`.

    Refused: anchors and aliases, tags, a second document, a key twice, nesting beyond `MAX_DEPTH`, too many nodes.
    """
    root: list[Value] = []
    stack: list[_Frame] = []
    documents = nodes = 0
    for event in _events(text):
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    raise Unreadable("", "holds a second document: one plan a file")
                continue
            case yaml.NodeEvent():
                nodes += 1
            case yaml.CollectionEndEvent():
                frame = stack.pop()
                done: Value = frame.items if frame.mapping is None else frame.mapping
                if stack:
                    stack[-1].take(done)
                else:
                    root.append(done)
                continue
            case _:
                continue
        path = stack[-1].next_path() if stack else ""
        _refuse_tricks(event, path, nodes)
        if isinstance(event, yaml.ScalarEvent):
            _take_scalar(event, path, stack, root)
        else:
            if len(stack) >= MAX_DEPTH:
                raise Unreadable("", f"line {_line(event)}: nests more than {MAX_DEPTH} levels")
            stack.append(_Frame(path, {} if isinstance(event, yaml.MappingStartEvent) else None))
    if not root:
        raise Unreadable("", "is empty")
    return root[0]


def _take_scalar(event: yaml.ScalarEvent, path: str, stack: list[_Frame], root: list[Value]) -> None:
    frame = stack[-1] if stack else None
    if frame is not None and frame.mapping is not None and frame.key is None:
        frame.take_key(event.value)
        return
    value: Value = event.value if event.style else _plain(event.value, path)
    if frame is None:
        root.append(value)
    else:
        frame.take(value)


def _line(event: yaml.NodeEvent) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _refuse_tricks(event: yaml.NodeEvent, path: str, nodes: int) -> None:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise Unreadable(path, f"line {line}: anchors (&) and aliases (*) are not used in plan files: write it out")
    if getattr(event, "tag", None) is not None:
        raise Unreadable(path, f"line {line}: tags (!) are not used in plan files: remove it")
    if nodes > MAX_NODES:
        raise Unreadable("", f"holds more than {MAX_NODES} values: split it, one plan a file")


class _PlanDumper(_DUMPER):  # type: ignore[misc, valid-type]
    """Quotes every text that YAML 1.1 or this reader would take for something else; numbers keep their digits."""

    def resolve(self, kind: type, value: str, implicit: tuple[bool, bool]) -> str:
        if kind is yaml.ScalarNode and implicit[0] and _tag(value) != "tag:yaml.org,2002:str":
            return _tag(value)
        resolved: str = super().resolve(kind, value, implicit)
        return resolved

    def ignore_aliases(self, data: object) -> bool:
        return True


def _decimal_node(dumper: _PlanDumper, number: Decimal) -> yaml.Node:
    text = str(number)
    node: yaml.Node = dumper.represent_scalar(_tag(text), text)
    return node


_PlanDumper.add_representer(Decimal, _decimal_node)


def write_tree(tree: Value) -> str:
    """Return a tree as YAML that `read_tree` reads back equal, in the tree's key order."""
    written: str = yaml.dump(
        tree, Dumper=_PlanDumper, sort_keys=False, allow_unicode=True, width=1 << 24, default_flow_style=None
    )
    return written
