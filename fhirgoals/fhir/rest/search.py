"""Search: the query of a request parsed into clauses, and whether a stored version matches them.

Strict: what this server does not know is refused (400), never ignored, for an ignored `patient=` would answer with
other people's records. Pure: a repository may evaluate clauses here or translate them into its own statements.
Source: https://hl7.org/fhir/R4/search.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.rest.outcome import bad_request
from fhirgoals.fhir.rest.periods import Span, span_of
from fhirgoals.fhir.rest.registry import SearchParameter, TypeEntry
from fhirgoals.fhir.rest.versions import Version

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le"]

_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le)?(\d.*)", re.DOTALL)
_SPEAKABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,40}")
_VERSIONED = re.compile(r"/_history/[^/]+$")


@dataclass(frozen=True, slots=True)
class TokenClause:
    """Any of the (system, code) pairs; a system of `None` is any, of `""` none; a code of `None` is any."""

    parameter: SearchParameter
    values: tuple[tuple[str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class ReferenceClause:
    """Any of the references: `Type/id`, a bare id (any type, or the parameter's only one), or an absolute URL."""

    parameter: SearchParameter
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DateClause:
    """Any of the (prefix, time span) pairs."""

    parameter: SearchParameter
    values: tuple[tuple[Prefix, Span], ...]


Clause = TokenClause | ReferenceClause | DateClause


@dataclass(frozen=True, slots=True)
class Query:
    """Clauses that must all hold; none at all matches every resource of the type. `base` is this server's own URL."""

    clauses: tuple[Clause, ...]
    base: str

    def matches(self, version: Version) -> bool:
        """Tell whether a version matches; a deleted one never does."""
        body = version.body
        return body is not None and all(_holds(clause, version, body, self.base) for clause in self.clauses)


def parse_query(entry: TypeEntry, pairs: Iterable[tuple[str, str]], base: str) -> Query:
    """Return the clauses of name-value pairs; raise `Declined` (400) for an unknown parameter or a bad value."""
    return Query(tuple(_clause(entry, name, value, base) for name, value in pairs), base)


def index_keys(entry: TypeEntry, body: Resource) -> set[str]:
    """Return the keys under which a body can be found without looking at every resource (see `query_keys`)."""
    keys: set[str] = set()
    for parameter in entry.parameters.values():
        if parameter.type == "reference":
            keys.update(
                f"{parameter.name}={_last_segment(reference)}"
                for reference in _walk(body, parameter.path)
                if isinstance(reference, str)
            )
        elif parameter.name == "identifier":
            keys.update(f"identifier={code}" for _, code in _tokens(_walk(body, parameter.path)))
    return keys


def query_keys(query: Query) -> set[str] | None:
    """Return keys of which every match has at least one, or `None` when the query gives none to go by."""
    for clause in query.clauses:
        match clause:
            case TokenClause(parameter, values) if parameter.name == "identifier" and all(code for _, code in values):
                return {f"identifier={code}" for _, code in values}
            case ReferenceClause(parameter, values):
                return {f"{parameter.name}={_last_segment(value)}" for value in values}
            case _:
                continue
    return None


def query_ids(query: Query) -> set[str] | None:
    """Return the ids that `_id` limits the query to, `None` when it does not."""
    for clause in query.clauses:
        if isinstance(clause, TokenClause) and clause.parameter.name == "_id":
            return {code for _, code in clause.values if code}
    return None


def _clause(entry: TypeEntry, name: str, value: str, base: str) -> Clause:
    parameter = entry.parameters.get(name)
    if parameter is None:
        shown = f"parameter {name}" if _SPEAKABLE.fullmatch(name) else "a parameter"
        raise bad_request(f"{shown} is not supported in a search for {entry.name}", "not-supported")
    parts = _split(value, ",")
    if not all(parts):
        raise bad_request(f"parameter {name} has an empty value", "value")
    match parameter.type:
        case "token":
            return TokenClause(parameter, tuple(_token(parameter, part) for part in parts))
        case "reference":
            return ReferenceClause(parameter, tuple(_reference(parameter, part, base) for part in parts))
        case "date":
            return DateClause(parameter, tuple(_date(parameter, part) for part in parts))
        case _:
            assert_never(parameter.type)


def _split(value: str, separator: str) -> list[str]:
    r"""Split at each separator that no `\` stands before; escapes stay in the parts."""
    return re.split(rf"(?<!\\){re.escape(separator)}", value)


def _unescape(value: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", value)


def _token(parameter: SearchParameter, part: str) -> tuple[str | None, str | None]:
    match [_unescape(piece) for piece in _split(part, "|")]:
        case [code]:
            return None, code
        case [system, code] if system or code:
            return system, code or None
        case _:
            raise bad_request(f"parameter {parameter.name} must be code, system|code, |code or system|", "value")


def _reference(parameter: SearchParameter, part: str, base: str) -> str:
    value = _unescape(part).removeprefix(f"{base}/")
    if parameter.target and "/" not in value:
        return f"{parameter.target}/{value}"
    if parameter.target and not (_is_absolute(value) or value.startswith(f"{parameter.target}/")):
        raise bad_request(f"parameter {parameter.name} must refer to a {parameter.target}", "value")
    return value


def _date(parameter: SearchParameter, part: str) -> tuple[Prefix, Span]:
    found = _PREFIXED.fullmatch(part)
    span = span_of(found[2]) if found else None
    if found is None or span is None:
        raise bad_request(
            f"parameter {parameter.name} must be a FHIR date or instant, with eq, ne, gt, lt, ge, le or no prefix",
            "value",
        )
    prefix: Prefix = found[1] or "eq"  # type: ignore[assignment]
    return prefix, span


def _holds(clause: Clause, version: Version, body: Resource, base: str) -> bool:
    match clause:
        case TokenClause(parameter, wanted):
            if parameter.name == "_id":
                return any(code == version.id for _, code in wanted)
            return any(_token_is(found, each) for found in _tokens(_walk(body, parameter.path)) for each in wanted)
        case ReferenceClause(parameter, references):
            stored = [_plain(value, base) for value in _walk(body, parameter.path) if isinstance(value, str)]
            return any(_refers(value, wanted) for value in stored for wanted in references)
        case DateClause(parameter, spans):
            return any(
                _compares(prefix, found, wanted)
                for found in _spans(parameter, version, body)
                for prefix, wanted in spans
            )
        case _:
            assert_never(clause)


def _walk(node: Tree, path: tuple[str, ...]) -> Iterator[Tree]:
    """Yield what the path leads to, through lists; nothing where the shape is another one."""
    if isinstance(node, list):
        for each in node:
            yield from _walk(each, path)
    elif not path:
        if node is not None:
            yield node
    elif isinstance(node, dict):
        yield from _walk(node.get(path[0]), path[1:])


def _tokens(nodes: Iterable[Tree]) -> Iterator[tuple[str | None, str | None]]:
    """Yield (system, code) of codes, Identifiers, Codings and CodeableConcepts; a plain code has no system to check."""
    for node in nodes:
        if isinstance(node, str):
            yield None, node
        elif isinstance(node, dict):
            coding = node.get("coding")
            if isinstance(coding, list):
                yield from _tokens(coding)
            else:
                system, code = node.get("system"), node.get("value", node.get("code"))
                yield system if isinstance(system, str) else "", code if isinstance(code, str) else None


def _token_is(found: tuple[str | None, str | None], wanted: tuple[str | None, str | None]) -> bool:
    system, code = wanted
    return (system is None or found[0] is None or system == found[0]) and (code is None or code == found[1])


def _is_absolute(reference: str) -> bool:
    return reference.startswith(("http://", "https://", "urn:"))


def _plain(reference: str, base: str) -> str:
    """Return the reference without this server's own base and without a version."""
    return _VERSIONED.sub("", reference).removeprefix(f"{base}/")


def _last_segment(reference: str) -> str:
    return _VERSIONED.sub("", reference).rpartition("/")[2]


def _refers(stored: str, wanted: str) -> bool:
    return stored == wanted or ("/" not in wanted and not _is_absolute(stored) and _last_segment(stored) == wanted)


def _spans(parameter: SearchParameter, version: Version, body: Resource) -> Iterator[Span]:
    if parameter.name == "_lastUpdated":
        yield Span.at(version.last_updated)
        return
    for node in _walk(body, parameter.path):
        if isinstance(node, str):
            span = span_of(node)
            if span is not None:
                yield span
        elif isinstance(node, dict):
            start, end = (
                span_of(value) if isinstance(value, str) else None for value in (node.get("start"), node.get("end"))
            )
            if start or end:
                yield Span.between(start, end)


def _compares(prefix: Prefix, found: Span, wanted: Span) -> bool:
    """Compare spans as R4 3.1.1.5.3 does: `gt` means that part of the found span lies above the wanted one.

    So `gt` with whole seconds passes over everything within that second, as on HAPI and Medplum. `ge` and `le` take
    any overlap with the wanted span, as HAPI does: a period that ends on a day is still `ge` that day.
    """
    inside = wanted.low <= found.low and found.high <= wanted.high
    match prefix:
        case "eq":
            return inside
        case "ne":
            return not inside
        case "gt":
            return found.high > wanted.high
        case "lt":
            return found.low < wanted.low
        case "ge":
            return found.high > wanted.low
        case "le":
            return found.low < wanted.high
        case _:
            assert_never(prefix)
