"""Where something stands in a plan file: the path of a change by indexes, and the line of a path."""

from __future__ import annotations

import re

import yaml

from fhirgoals.domain.changes import KEYS, hops_of
from fhirgoals.domain.plan_yaml import joined
from fhirgoals.domain.records import Plan, Record

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_LISTS_OF_THEIR_OWN = frozenset(
    "client therapist participants problems disclosure sessions measures interventions goals reviews revisions".split()
)


def file_path(plan: Plan, field: str) -> str:
    """Return the path in the plan's file of a change's place: `goals[g-ba].text` is `goals[3].text`.

    A member that the plan does not have is told by its list: `goals`.
    """
    path, value = "", plan
    found: object = value
    for hop in hops_of(field):
        if hop.name is not None:
            if not path and hop.name not in _LISTS_OF_THEIR_OWN:
                path = "plan"
            path = joined(path, hop.name)
            found = getattr(found, hop.name, None)
            continue
        members = found if isinstance(found, tuple) else ()
        if hop.key == "+":
            index = len(members) - 1
        else:
            index = next((place for place, each in enumerate(members) if _key(each) == hop.key), -1)
        if index < 0:
            return path
        path, found = joined(path, index), members[index]
    return path


def line_of(text: str, path: str) -> int | None:
    """Return the line (from 1) at which a path stands in the text of a plan file, YAML or JSON.

    Where the place itself is not in the text, the line of what it would stand in; `None` where the text is no YAML.
    """
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        return None
    if node is None:
        return None
    line: int = node.start_mark.line + 1
    for name, index in _PART.findall(path):
        member = _member_of(node, name) if name else _item_of(node, int(index))
        if member is None:
            break
        line, node = member
    return line


def _member_of(node: yaml.Node, name: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key.start_mark.line + 1, value
    return None


def _item_of(node: yaml.Node, index: int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and index < len(node.value):
        item = node.value[index]
        return item.start_mark.line + 1, item
    return None


def _key(member: object) -> object:
    key_of = KEYS.get(type(member)) if isinstance(member, Record) else None
    return None if key_of is None else key_of(member)
