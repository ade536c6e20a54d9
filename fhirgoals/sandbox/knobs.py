"""The knobs of the sandbox: in what it behaves like servers that do not keep or say everything.

Each knob names where a real server was seen so. They change what is stored or answered around the REST core, which
stays a plain server. `Knobs()` is the plain server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhirgoals.fhir.exact_json import Resource, Tree


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the sandbox got it: method, path with the base path, query without `?`, body."""

    method: str
    path: str
    query: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Knobs:
    """What deviates from the plain server; replace the whole record to change one."""

    drop_extensions: bool = False
    """Every `extension` is taken out of what is stored, at any depth.

    `reference/vendors.md` 2 "Silent drops" (OpenMRS #570: what a server has no field for is dropped) and scenario 15.
    """

    cut_text: int | None = None
    """description.text, note.text and activity.detail.description are stored up to this many characters.

    nhsconnect/gpconnect #625 (providers cut Appointment.description at their field's length); HAPI cut meta.source at
    100 characters (hapifhir/hapi-fhir #6529); design 5.3 "a server that cuts or drops a value".
    """

    no_etag: bool = False
    """No ETag header is sent, and If-Match and the tags of If-None-Match are ignored; `meta.versionId` stays.

    `reference/vendors.md` 2 "Lost update": OpenEMR #12378 ignores If-Match; scenarios 10 and 11 of its section 5.
    """

    lose_reply: Callable[[Asked], bool] | None = None
    """The next request of which this says yes and that succeeds is carried out, and the connection closed unanswered.

    Then the knob is spent (`None`). `reference/vendors.md` 5, scenario 1; 2 "Duplicates" (Medplum #9969: POST repeated
    after an answer that was no answer).
    """

    def as_stored(self, resource: Resource) -> Resource:
        """Return what a server with these knobs stores of a resource; the argument is not changed."""
        stored: Tree = resource
        if self.drop_extensions:
            stored = _without_extensions(stored)
        if self.cut_text is not None:
            for path in _CUT_PATHS:
                stored = _cut(stored, path, self.cut_text)
        # Both keep the top level an object.
        return stored if isinstance(stored, dict) else resource


_CUT_PATHS = (("description", "text"), ("note", "text"), ("activity", "detail", "description"))

_NOTHING: tuple[Tree, ...] = ({}, [])


def _without_extensions(tree: Tree) -> Tree:
    """Return the tree without extensions and without what held nothing else, as FHIR allows no empty element."""
    if isinstance(tree, list):
        children = [_without_extensions(each) for each in tree]
        # In `_given: [null, {…}]` the places count, so an emptied entry stays as null.
        if any(each is None for each in tree):
            kept: list[Tree] = [None if each in _NOTHING else each for each in children]
            return kept if any(each is not None for each in kept) else []
        return [each for each, before in zip(children, tree, strict=True) if each not in _NOTHING or before in _NOTHING]
    if isinstance(tree, dict):
        result: Resource = {}
        for key, value in tree.items():
            if key == "extension":
                continue
            child = _without_extensions(value)
            if child not in _NOTHING or value in _NOTHING:
                result[key] = child
        return result
    return tree


def _cut(tree: Tree, path: tuple[str, ...], length: int) -> Tree:
    if isinstance(tree, list):
        return [_cut(each, path, length) for each in tree]
    if not path:
        return tree[:length] if isinstance(tree, str) else tree
    if isinstance(tree, dict) and path[0] in tree:
        return {key: _cut(value, path[1:], length) if key == path[0] else value for key, value in tree.items()}
    return tree
