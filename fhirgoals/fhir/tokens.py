"""Where the bearer token of a request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class TokenSource(Protocol):
    """Gives the bearer token for the next request; the seam for SMART Backend Services."""

    async def token(self) -> str | None:
        """Return a token that is good now, or None to send none."""
        ...


@dataclass(frozen=True, slots=True)
class StaticToken:
    """One token that never changes."""

    value: str | None

    def __repr__(self) -> str:
        return "StaticToken(…)"

    async def token(self) -> str | None:
        """Return it."""
        return self.value
