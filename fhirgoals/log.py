"""Logging by allow-list: only keys of `ALLOWED`, in the shape given there, reach a line; all else is withheld.

An event is a fixed lower-case sentence, never built from values. Of an exception its classes and place are logged, not
its message. What libraries say through `logging` or `warnings` (httpx, uvicorn and SQLAlchemy put URLs, ids and
parameters there) loses its text where the record is born, so no handler can show it; logger and place remain.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

WITHHELD: Final = "[withheld]"
LIBRARY_EVENT: Final = "a library said something"

_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_.:()\[\]-]{0,255}")
_PLACE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[0-9]+( < [A-Za-z_][A-Za-z0-9_.]*:[0-9]+)*")
_CLASSES = re.compile(r"[A-Za-z_]\w*( < [A-Za-z_]\w*)*")
_TIME = re.compile(r"[0-9T:.-]+Z")
_EVENT = re.compile(r"[a-z][a-z,;'_ -]{0,119}")
# The ids of a person's resources stand for the person, so they stay out.
_RESOURCE = re.compile(
    r"(?!Patient/|RelatedPerson/|Person/|Practitioner/|PractitionerRole/)[A-Z][A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64}"
)

ALLOWED: Final[Mapping[str, re.Pattern[str] | type[int]]] = {
    # what every line has
    "event": _EVENT,
    "level": _WORD,
    "timestamp": _TIME,
    "withheld": int,
    # where in the code
    "logger": _PATH,
    "at": _PLACE,
    "error": _CLASSES,
    # which thing: ids of ours, and of resources that are not people
    "connection": _ID,
    "plan": _ID,
    "goal": _ID,
    "step": _ID,
    "link": _ID,
    "intent": _ID,
    "item": _ID,
    "run": _ID,
    "batch": _ID,
    "worker": _ID,
    "operation": _ID,
    "revision": int,
    "resource": _RESOURCE,
    "resource_type": _PATH,
    "path": _PATH,
    # what about it: codes
    "rule": _ID,
    "unit": _PATH,
    "kind": _WORD,
    "outcome": _WORD,
    "action": _WORD,
    "state": _WORD,
    # how much: counts, HTTP status, seconds
    "status": int,
    "attempt": int,
    "seconds": int,
    "wait_s": int,
    "count": int,
    "read": int,
    "created": int,
    "pushed": int,
    "pulled": int,
    "conflicts": int,
    "proposals": int,
    "held": int,
    "quarantined": int,
    "requests": int,
    "writes": int,
}
"""The only keys of a line, each with the shape of its text; `int` stands for a number or truth value."""

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_HANDLER: Final = "fhirgoals handler"


def get_logger() -> FilteringBoundLogger:
    """Return a logger; before `configure` was called it writes warnings as JSON to stderr."""
    if not structlog.is_configured():
        configure()
    return cast("FilteringBoundLogger", structlog.get_logger())


def configure(level: str = "warning", *, as_json: bool = True, stream: TextIO | None = None) -> None:
    """Send our lines, and the scrubbed ones of libraries, to `stream` (default: stderr as it is at each line).

    `level` is debug | info | warning | error; of libraries only warnings and errors are told. Calling it again replaces
    what was set. It acts on the whole process: from then on `logging` records carry no text, whoever makes them.
    """
    render = _renderer(as_json=as_json)
    structlog.configure(
        processors=[*_pipeline(), render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if each.name == _HANDLER]:
        root.removeHandler(handler)
    handler = _LineHandler(stream, render)
    handler.set_name(_HANDLER)
    root.addHandler(handler)
    root.setLevel(max(_LEVELS[level], logging.WARNING))
    logging.setLogRecordFactory(_textless_record)
    logging.captureWarnings(True)


def allow_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return the line with its allowed keys alone; `withheld` counts the keys taken out.

    The value of an allowed key that has not the key's shape becomes `WITHHELD`.
    """
    kept: dict[str, object] = {key: _shaped(key, value) for key, value in event.items() if key in ALLOWED}
    taken_out = len(event) - len(kept)
    if taken_out:
        kept["withheld"] = taken_out
    return kept


def _shaped(key: str, value: object) -> object:
    shape = ALLOWED[key]
    if value is None:
        return None
    if isinstance(shape, re.Pattern):
        return value if isinstance(value, str) and shape.fullmatch(value) else WITHHELD
    return value if isinstance(value, int | float) else WITHHELD


def _failure(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the classes and the place of an exception in the place of its message and traceback."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["error"] = _classes(error)
        event["at"] = _place(error.__traceback__)
    return event


def _classes(error: BaseException) -> str:
    names: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(names) < 8:
        names.append(type(seen).__name__)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return " < ".join(names)


def _place(trace: TracebackType | None) -> str | None:
    frames = [f"{frame.f_globals.get('__name__', '_')}:{line}" for frame, line in traceback.walk_tb(trace)]
    return " < ".join(reversed(frames[-6:])) or None


def _pipeline() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _failure,
        allow_only,
    ]


def _renderer(*, as_json: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer()
    return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)


def _textless_record(*args: Any, **kwargs: Any) -> logging.LogRecord:  # the signature of LogRecord, passed through
    record = logging.LogRecord(*args, **kwargs)
    error = record.exc_info[1] if record.exc_info else None
    record.msg = LIBRARY_EVENT
    record.args = ()
    record.exc_info = record.exc_text = record.stack_info = None
    record.__dict__["error"] = _classes(error) if error else None
    return record


class _LineHandler(logging.Handler):
    """Writes the scrubbed records of `logging` in the form of our own lines."""

    def __init__(self, stream: TextIO | None, render: Processor) -> None:
        super().__init__()
        self._stream = stream
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        event: EventDict = {
            "event": LIBRARY_EVENT,
            "logger": record.name,
            "at": f"{record.module}:{record.lineno}",
            "error": record.__dict__.get("error"),
        }
        for step in (*_pipeline(), self._render):
            event = cast("EventDict", step(None, record.levelname.lower(), event))
        try:
            (self._stream or sys.stderr).write(f"{event}\n")
        except (OSError, ValueError):
            self.handleError(record)
