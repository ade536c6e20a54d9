"""What a run knows across the plans of one client: which goals of the chart are in none of them (design 5.6).

The plans come first. What they leave, and the connection's scope takes, is filed afterwards in the client's unfiled
plan, which begins with it; what the scope does not take is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date

from fhirgoals.domain.unfiled import PREFIX, unfiled_id
from fhirgoals.errors import RemoteError
from fhirgoals.store.links import Link
from fhirgoals.store.tx import Tx
from fhirgoals.sync.changes import Reading
from fhirgoals.sync.connection import config_of
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.newborn import WIDE, outside, unlisted
from fhirgoals.sync.unfiled import siblings
from fhirgoals.sync.view import View, disclosed, load_view


@dataclass
class Charts:
    """The unfiled plans of one run: `siblings` are the client's other plans, by the id of the unfiled one."""

    siblings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _to_file: list[str] = field(default_factory=list)

    def begin(self, tx: Tx, connection: str, wanted: Collection[str] | None = None) -> None:
        """Find out which unfiled plans there are or may be; `wanted` are plans that are to be run in any case."""
        self.siblings.clear()
        self._to_file.clear()
        known, ids = tx.connections.get(connection), tx.plans.ids()
        wide = known is not None and config_of(known.config).scope in WIDE
        if wide or any(one.startswith(PREFIX) for one in ids):
            self.siblings.update(siblings(tx))
        self._to_file += [one for one in wanted or () if one in self.siblings and one not in ids]

    def queue(self, plan_ids: Collection[str], allowed: Collection[str] | None = None) -> Iterator[str]:
        """Yield the plans in the order in which they are taken up: unfiled ones last, then those that begin now.

        What a plan lists is not left for an unfiled one. `allowed` are those of a kept preview.
        """
        yield from sorted(plan_ids, key=lambda one: one in self.siblings)
        begin = dict.fromkeys(one for one in self._to_file if one in self.siblings and one not in plan_ids)
        yield from (one for one in begin if allowed is None or one in allowed)

    def note(self, view: View, reading: Reading, patient: str, counts: Counts) -> None:
        """Note what of a chart no plan has: what is to be filed, and what is outside the scope."""
        counts.outside[patient] = outside(view, reading)
        client = view.plan.client
        if client is not None and not view.unfiled and unlisted(view, reading):
            self._to_file.append(unfiled_id(client.id))


def left_alone(tx: Tx, view: View, on: date) -> bool:
    """Tell whether an unfiled plan is not looked at: nothing of the client may go there, so nothing is asked there.

    Nor is it where the scope takes nothing outside a plan and nothing of it came from there.
    """
    if not view.unfiled:
        return False
    if view.patient is None or view.leaving or not (view.links or view.config.scope in WIDE):
        return True
    others = (load_view(tx, view.connection, one, view.installation) for one in view.siblings)
    return all(disclosed(one, on).plan is None for one in others)


def care_plans(tx: Tx, view: View) -> list[Link]:
    """Return the links of the CarePlans of a client's other plans."""
    links = (link for plan_id in view.siblings for link in tx.links.for_plan(view.connection, plan_id))
    return [link for link in links if link.kind == "CarePlan"]


def another_patient(view: View) -> RemoteError:
    """Return the error where the linked patient is no longer who was linked: nothing of that chart is filed."""
    return RemoteError(
        f"{view.connection}: the patient linked for {view.plan.id} no longer bears what it was linked by; nothing of"
        f" that chart was taken: look at `fhirgoals patients list {view.connection}`"
    )
