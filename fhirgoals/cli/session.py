"""What a command runs with: settings, the store, the clock. Everything heavy is opened when it is first asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fhirgoals.errors import InputError

if TYPE_CHECKING:
    import typer

    from fhirgoals.domain.identity import Installation
    from fhirgoals.settings import Settings
    from fhirgoals.store import Store

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True)
class Session:
    """One call of the program; `store_url` and `config` are the global options."""

    store_url: str | None = None
    config: Path | None = None

    def settings(self) -> Settings:
        """Return the settings of file, environment and options, and set the log up by them."""
        from fhirgoals import log  # noqa: PLC0415 (0.2 s that `--help` need not wait for)
        from fhirgoals.settings import load_settings  # noqa: PLC0415

        settings = load_settings(self.config, {"store.url": self.store_url})
        log.configure(settings.log.level, as_json=settings.log.as_json)
        return settings

    @contextmanager
    def open(self, *, create: bool = False) -> Iterator[Store]:
        """Open the store until the block ends; `create` makes one where there is none."""
        from fhirgoals.store import open_store  # noqa: PLC0415

        store = open_store(self.settings().store.url, create=create)
        try:
            told_of_a_restore(store)
            yield store
        finally:
            store.close()

    def installation_if_any(self) -> Installation | None:
        """Return the installation of the store, or `None` where there is no store; none is made."""
        from fhirgoals.errors import StoreError  # noqa: PLC0415

        url = self.settings().store.url
        if (
            self.store_url is None
            and url.startswith("sqlite:///")
            and not Path(url.removeprefix("sqlite:///")).exists()
        ):
            return None
        try:
            with self.open() as store:
                return store.installation
        except StoreError:
            if self.store_url is not None:
                raise
            return None


def told_of_a_restore(store: Store) -> None:
    """Say on stderr which connections opening paused, since the store was restored or copied."""
    if store.paused:
        from fhirgoals.cli.output import note  # noqa: PLC0415 (rarely needed)

        names = ", ".join(store.paused)
        note(
            f"note: this store was restored, copied or moved; until a person looked it writes nothing to {names}."
            " Next, for each: fhirgoals ehr match NAME --by STAFF, fhirgoals preview NAME, fhirgoals ehr resume NAME"
        )


def session_of(context: typer.Context) -> Session:
    """Return the session that the global options made."""
    found = context.obj
    return found if isinstance(found, Session) else Session()


def now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)


def day(text: str | None) -> date:
    """Return the day that an option names, today where it names none; raises `InputError`."""
    if text is None:
        return now().date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError("--on: is no day: write it as YYYY-MM-DD") from None


def actor(name: str) -> str:
    """Return the id given by `--by`; raises `InputError` for anything that is none (a name stays out of the audit)."""
    if not _ID.fullmatch(name):
        raise InputError("--by: give the id of a member of staff, such as staff-7: letters, digits and - _ . :")
    return name


def one_word(reason: str) -> str:
    """Return a reason as the audit takes it, without blanks: `wrong chart, INC-7` is `wrong-chart-INC-7`.

    Raises `InputError` where nothing is left of it.
    """
    word = re.sub(r"[^A-Za-z0-9_.:/#+]+", "-", reason).strip("-")[:120]
    if not word:
        raise InputError("--reason: say in words why, such as a ticket's number")
    return word
