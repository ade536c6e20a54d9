"""Logging: what is not allowed by key and shape reaches no line, whoever says it."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from fhirgoals import log as product_log
from fhirgoals.log import ALLOWED, LIBRARY_EVENT, WITHHELD, configure, get_logger

PRODUCT = Path(product_log.__file__).parent
CANARY = "Marisol Canary"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the configured loggers write, at level debug; the process's logging is put back afterwards."""
    factory = logging.getLogRecordFactory()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = io.StringIO()
    configure("debug", stream=written)
    yield written
    logging.setLogRecordFactory(factory)
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@contextlib.contextmanager
def listening(name: str) -> Iterator[io.StringIO]:
    """Yield what a handler of somebody else on the logger `name` writes, the logger being open."""
    logger = logging.getLogger(name)
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    before = dict(vars(logger))
    logger.filters, logger.propagate, logger.disabled = [], True, False
    logger.setLevel(logging.DEBUG)
    logger.handlers = [handler]
    yield heard
    vars(logger).update(before)
    logger.setLevel(before["level"])


def only_line(written: io.StringIO) -> dict[str, object]:
    (line,) = written.getvalue().splitlines()
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_known_keys_pass(lines: io.StringIO) -> None:
    """Ids, counts, codes and paths that have their shape are written as they are."""
    get_logger().info(
        "goal pushed", connection="ehr-main", resource="Goal/g-1", path="Goal.target[0].due", seconds=0.25
    )
    line = only_line(lines)
    assert line.pop("timestamp")
    assert line == {
        "event": "goal pushed",
        "level": "info",
        "connection": "ehr-main",
        "resource": "Goal/g-1",
        "path": "Goal.target[0].due",
        "seconds": 0.25,
    }


def test_unknown_key_is_withheld_and_counted(lines: io.StringIO) -> None:
    """A key without a row in the allow-list is taken out; the line says how many were."""
    get_logger().warning("goal held", plan="plan-1", patient=CANARY, goal_text=CANARY)
    line = only_line(lines)
    assert (line["plan"], line["withheld"]) == ("plan-1", 2)
    assert "Canary" not in lines.getvalue()


@pytest.mark.parametrize("key", sorted(set(ALLOWED) - {"event", "level", "timestamp", "withheld", "at", "error"}))
@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        "https://ehr.example/fhir/Patient?name=Canary",
        "Patient/canary",
        ["Canary"],
        {"name": "Canary"},
        b"Canary",
        "a" * 300 + "Canary",
        "x\nCanary",
    ],
)
def test_value_without_the_shape_of_its_key_is_withheld(key: str, value: object, lines: io.StringIO) -> None:
    """Free text, a URL, a person's reference or a collection is written under no allowed key."""
    get_logger().error("something", **{key: value})
    assert only_line(lines)[key] == WITHHELD
    assert "anary" not in lines.getvalue()


def test_event_built_from_values_is_withheld(lines: io.StringIO) -> None:
    """An event that is no fixed lower-case sentence is not written."""
    get_logger().info(f"goal of {CANARY} pushed")
    get_logger().info("goal of %s pushed", CANARY)
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == [WITHHELD, WITHHELD]


def test_bound_context_is_filtered_too(lines: io.StringIO) -> None:
    """What was bound to a logger or a context passes the same list."""
    structlog.contextvars.bind_contextvars(connection="ehr-main", client=CANARY)
    get_logger().bind(author=CANARY).info("bound")
    line = only_line(lines)
    assert (line["connection"], line["withheld"]) == ("ehr-main", 2)
    assert "Canary" not in lines.getvalue()


def test_exception_is_told_by_class_and_place_alone(lines: io.StringIO) -> None:
    """An exception's message may hold a value; its classes and line may not."""
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError:
        get_logger().exception("push failed", connection="ehr-main")
    line = only_line(lines)
    assert line["error"] == "RuntimeError < ValueError"
    assert str(line["at"]).startswith(f"{__name__}:")
    assert "Canary" not in lines.getvalue()


@pytest.mark.parametrize(
    "name", ["httpx", "httpcore.connection", "uvicorn.access", "uvicorn.error", "sqlalchemy.engine", "x"]
)
def test_library_record_has_no_text(name: str, lines: io.StringIO) -> None:
    """What a library logs is told as a warning from a place, without message, arguments, extras or traceback."""
    with listening(name) as foreign:
        try:
            raise ValueError(CANARY)
        except ValueError:
            text = "GET %s " + CANARY
            logging.getLogger(name).error(text, CANARY, exc_info=True, stack_info=True, extra={"url": CANARY})
    line = only_line(lines)
    assert (line["event"], line["logger"], line["level"]) == (LIBRARY_EVENT, name, "error")
    assert (line["error"], str(line["at"]).split(":")[0]) == ("ValueError", "test_log")
    assert "Canary" not in lines.getvalue() + foreign.getvalue()


def test_warning_of_a_library_has_no_text(lines: io.StringIO) -> None:
    """`warnings.warn` goes the same way."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(CANARY, stacklevel=1)
    assert only_line(lines)["logger"] == "py.warnings"
    assert "Canary" not in lines.getvalue()


async def test_url_of_a_request_never_gets_out(lines: io.StringIO) -> None:
    """httpx logs each URL, and search URLs hold names: with our logging at debug nothing of it is seen."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with listening("httpx") as heard:
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("https://ehr.example/fhir/Patient", params={"name": "Canary"})
    assert heard.getvalue(), "httpx no longer logs requests: this test shows nothing"
    assert "Canary" not in heard.getvalue() + lines.getvalue()
    assert "ehr.example" not in heard.getvalue() + lines.getvalue()


def test_level_is_kept(lines: io.StringIO) -> None:
    """Below the level nothing of ours is written, and of libraries nothing below a warning."""
    configure("error", stream=lines)
    get_logger().warning("quiet")
    logging.getLogger("httpx").info("quiet")
    logging.getLogger("httpx").warning("quiet")
    assert lines.getvalue() == ""


def test_lines_for_people_are_filtered_too(lines: io.StringIO) -> None:
    """Without JSON the same list holds."""
    configure("info", as_json=False, stream=lines)
    get_logger().info("goal pushed", connection="ehr-main", text=CANARY)
    assert 'level=info event="goal pushed" connection=ehr-main withheld=1' in lines.getvalue()


def test_default_goes_to_stderr(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """A logger that nobody configured never writes to stdout, where a command's JSON goes, and is filtered too."""
    structlog.reset_defaults()
    get_logger().warning("goal held", goal_text=CANARY)
    get_logger().info("not told")
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["withheld"] == 1
    assert "Canary" not in err


def test_events_in_the_product_are_literals() -> None:
    """No log call in the product builds its event from values or gives more than one positional argument."""
    levels = {"debug", "info", "warning", "error", "exception", "critical", "fatal", "log", "msg"}
    wrong = []
    for file in sorted(PRODUCT.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "structlog" not in source and "fhirgoals.log" not in source:
            continue  # what goes through the standard library's logging has no text at all
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=arguments) if (
                    name.strip("_").lower() in {"log", "logger"} and method in levels
                ):
                    literal = len(arguments) == 1 and isinstance(arguments[0], ast.Constant)
                    if not literal or any(keyword.arg is None for keyword in node.keywords):
                        wrong.append(f"{file.relative_to(PRODUCT)}:{node.lineno}")
                case ast.Import(names=names) if (
                    any(each.name == "structlog" for each in names) and file.name != "log.py"
                ):
                    wrong.append(f"{file.relative_to(PRODUCT)}:{node.lineno} imports structlog past fhirgoals.log")
    assert wrong == []
