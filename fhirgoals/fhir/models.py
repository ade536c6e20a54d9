"""What the R4B models of fhir.resources say of a copy of a resource; their dump is never sent.

They see what our own tables leave open, such as the inside of a Timing. R4 and R4B are the same for Goal and CarePlan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.issues import Issue, error, safe_property


def issues(resource: Resource, kind: str) -> list[Issue]:
    """Return the faults that the model of `kind` (Goal or CarePlan) finds; one message for all, free of values.

    Contained resources are left out: one of an unknown type makes the models raise KeyError, and hide the rest.
    """
    from pydantic import ValidationError  # noqa: PLC0415  imported late, as the models are

    body = {name: value for name, value in resource.items() if name != "contained"}
    try:
        _model(kind)(_copied(body))
    except ValidationError as invalid:
        found = invalid.errors(include_url=False, include_context=False, include_input=False)
        return [error(_rule(fault["type"]), _path(kind, fault["loc"]), _MESSAGE) for fault in found]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return [error("SHAPE-MODEL", kind, "can't be read by the R4B model at all")]
    return []


def _copied(tree: Any) -> Any:
    """Return a copy of a JSON tree that the models may change."""
    if isinstance(tree, dict):
        return {name: _copied(value) for name, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree


_MESSAGE = "is not as the R4B model has it"


def _rule(kind: str) -> str:
    if kind == "extra_forbidden":
        return "SHAPE-UNKNOWN"
    return "SHAPE-REQUIRED" if kind.endswith("missing") else "SHAPE-MODEL"


def _path(kind: str, place: tuple[int | str, ...]) -> str:
    return kind + "".join(f"[{part}]" if isinstance(part, int) else f".{safe_property(part)}" for part in place)


@cache
def _model(kind: str) -> Callable[[dict[str, Any]], object]:
    # 0.4 s and 50 MB (measured): only who validates pays for it.
    if kind == "Goal":
        from fhir.resources.R4B.goal import Goal  # noqa: PLC0415

        return Goal.model_validate
    from fhir.resources.R4B.careplan import CarePlan  # noqa: PLC0415

    return CarePlan.model_validate
