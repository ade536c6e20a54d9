"""The core over a repository as a FastAPI application, to serve or to mount."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from fastapi import FastAPI

from fhirgoals.fhir.rest.asgi import asgi
from fhirgoals.fhir.rest.core import DEFAULT_LIMITS, Limits, RestCore, utc_now
from fhirgoals.fhir.rest.registry import R4_TYPES, TypeEntry
from fhirgoals.fhir.rest.repository import Repository

__all__ = ["Limits", "fhir_app", "utc_now"]


def fhir_app(
    repository: Repository,
    *,
    base_path: str = "/fhir",
    base_url: str | None = None,
    types: Mapping[str, TypeEntry] = R4_TYPES,
    clock: Callable[[], datetime] = utc_now,
    limits: Limits = DEFAULT_LIMITS,
    title: str = "fhirgoals REST core",
) -> FastAPI:
    """Return a FHIR R4 server over a repository.

    base_path: path that the API begins with, "" for none. base_url: the server's own URL up to and with that path, for
    links and Location; without it the request's Host is believed. types: what is offered. clock: time in Bundles.
    """
    core = RestCore(base_path, base_url, types, clock, limits, title)
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("", asgi(partial(core.answer, repository), max_body_bytes=limits.max_body_bytes))
    return app
