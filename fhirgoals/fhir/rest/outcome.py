"""What a request is declined with, and the OperationOutcome that says so.

The sentences name rules, parameters and headers, never a value of a resource or of a search: they end up in logs.
"""

from __future__ import annotations

from typing import Literal

from fhirgoals.errors import Refused
from fhirgoals.fhir.exact_json import Resource

IssueCode = Literal[
    "conflict",
    "deleted",
    "exception",
    "forbidden",
    "invalid",
    "multiple-matches",
    "not-found",
    "not-supported",
    "structure",
    "too-long",
    "value",
]
"""The codes of https://hl7.org/fhir/R4/valueset-issue-type.html that this core answers with."""


class Declined(Refused):
    """A request that a FHIR server refuses: HTTP status, issue code and a plain sentence without values."""

    def __init__(
        self,
        status: int,
        code: IssueCode,
        sentence: str,
        headers: dict[str, str] | None = None,
        expression: str | None = None,
    ) -> None:
        super().__init__(sentence)
        self.expression = expression
        self.status = status
        self.code = code
        self.sentence = sentence
        self.headers = headers or {}


def operation_outcome(code: IssueCode, sentence: str, expression: str | None = None) -> Resource:
    """Return an OperationOutcome with one error; `expression` is the element that it is about."""
    issue: Resource = {"severity": "error", "code": code, "diagnostics": sentence}
    if expression is not None:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def bad_request(sentence: str, code: IssueCode = "invalid") -> Declined:
    """Return the refusal of a request that is wrong in itself (400)."""
    return Declined(400, code, sentence)


def not_found() -> Declined:
    """Return the refusal of a read of what never was here (404)."""
    return Declined(404, "not-found", "no such resource here")


def gone() -> Declined:
    """Return the refusal of a read of what was deleted (410)."""
    return Declined(410, "deleted", "the resource was deleted; its history is still here")


def precondition_failed(sentence: str, code: IssueCode = "conflict") -> Declined:
    """Return the refusal of a conditional request whose condition does not hold (412)."""
    return Declined(412, code, sentence)
