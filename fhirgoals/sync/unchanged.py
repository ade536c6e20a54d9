"""Tells whether a plan stands at the EHR as it was last judged, so that a run need not look into it again.

Content alone does not (design 5.12): what was not to be seen then, and is there again as it was, is a change; so is a
stray that went.
"""

from __future__ import annotations

from fhirgoals.domain.units import Json
from fhirgoals.sync.changes import Reading, name_of, twins
from fhirgoals.sync.newborn import in_scope, misfiled
from fhirgoals.sync.view import View, content_hash


def unchanged(view: View, reading: Reading) -> bool:
    """Tell whether everything that is linked still has the content that was last seen, and nothing is missing.

    Nor may anything be there that is still to be taken here.
    """
    if reading.missing or reading.strays or reading.reported or reading.found.keys() != view.links.keys():
        return False
    if reading.given_up or twins(view, reading) or in_scope(view, reading):
        return False
    return all(content_hash(one.tree) == view.links[key].raw_hash for key, one in reading.found.items())


def judged_on(shown: str, view: View, reading: Reading) -> Json:
    """Return what a judgement stands on besides content: what the connection may see, `shown`, and what is told of.

    That are goals of an unfiled plan that wait for other plans alone, and what was not to be seen or is unknown there.
    """
    waiting: list[Json] = [[goal, why] for goal, why in misfiled(view, reading)]
    missing = (f"{kind}/{local_id} {place}" for (kind, local_id), place in reading.missing.items())
    unknown = (*map(name_of, reading.strays), *twins(view, reading), *reading.reported)
    waiting += [*sorted(missing), *sorted({*unknown})]
    return [shown, *waiting] if waiting else shown


def scope_of(plan_id: str) -> str:
    """Return where it is kept what a plan was last judged on."""
    return f"shown:{plan_id}"
