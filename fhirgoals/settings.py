"""The settings: `config/fhirgoals.toml`, over it the environment, over both a command's options.

An unknown key is an error in all three. Messages name the place, the key and what is allowed, never the value: the URL
of a store may hold a password. Connections, policy and code tables have files of their own and are not read here.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from fhirgoals.errors import ConfigurationError

DEFAULT_FILE = Path("config/fhirgoals.toml")
"""Read when it is there; a file named by an option or by `FHIRGOALS_CONFIG` must be there."""

PREFIX = "FHIRGOALS_"
_BETWEEN_LEVELS = "__"
_STORE_URL = re.compile(r"(sqlite:///|postgresql(\+psycopg)?://).+")

LogLevel = Literal["debug", "info", "warning", "error"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


class StoreSettings(_Section):
    """Where the store is."""

    url: str = Field(default="sqlite:///fhirgoals.db", repr=False, description="sqlite:///FILE or postgresql://…")

    @field_validator("url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        if not _STORE_URL.fullmatch(url):
            raise ValueError("must be sqlite:///FILE or postgresql://USER@HOST/DATABASE")
        return url


class LogSettings(_Section):
    """What is logged, and how."""

    level: LogLevel = "warning"
    as_json: bool = Field(default=True, alias="json", description="one JSON object a line, else plain lines")


class PathSettings(_Section):
    """Folders that are read; relative ones count from the current folder."""

    ehr: Path = Path("config/ehr")


class Settings(BaseSettings):
    """All settings; made by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=_BETWEEN_LEVELS,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    paths: PathSettings = PathSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first: options, environment, the file (given as `from_file`)."""
        options = dict(init_settings())
        from_file = options.pop("from_file", {})
        return (
            InitSettingsSource(settings_cls, init_kwargs=options),
            env_settings,
            InitSettingsSource(settings_cls, init_kwargs=from_file),
        )


def load_settings(file: Path | None = None, options: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of `file` (default: see `DEFAULT_FILE`), the environment and `options`.

    `options` are named by dotted keys (`{"store.url": …}`); one that is `None` was not given.
    Raises `ConfigurationError` that names every wrong key, where it stands and what is allowed there.
    """
    given = {key: value for key, value in (options or {}).items() if value is not None}
    path, content = _read(file)
    _refuse_unknown_variables()
    try:
        # pydantic-settings takes the keys of all places as keyword arguments; `from_file` is taken out again above.
        return Settings(**{**_nested(given), "from_file": content})  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [
            _fault([str(part) for part in fault["loc"]], fault["type"], fault["msg"], given, path)
            for fault in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise ConfigurationError("; ".join(faults)) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = PREFIX + (field[1].upper() if field else "…")
        raise ConfigurationError(
            f"environment variable {name}: must be a JSON object; or set its keys singly"
        ) from None


def _read(file: Path | None) -> tuple[Path, dict[str, object]]:
    named = file or (Path(os.environ[PREFIX + "CONFIG"]) if os.environ.get(PREFIX + "CONFIG") else None)
    path = named or DEFAULT_FILE
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is None:
            return path, {}
        raise ConfigurationError(f"{path}: no such file: name another, or leave it out for the defaults") from None
    except tomllib.TOMLDecodeError as error:
        # Only the position: the parser's words may quote what stands there.
        position = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        where = position[1] if position else "an unknown line"
        raise ConfigurationError(f"{path}: not valid TOML at {where}: mend it there") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: can't be read ({error.strerror}): check the path and its permissions"
        ) from None


def _refuse_unknown_variables() -> None:
    # pydantic-settings passes over variables it does not know; a typing error in one would go unseen.
    for name in os.environ:
        section, between, _ = name.upper().removeprefix(PREFIX).partition(_BETWEEN_LEVELS)
        if name.upper().startswith(PREFIX) and between and section.lower() not in Settings.model_fields:
            known = ", ".join(f"{PREFIX}{field.upper()}{_BETWEEN_LEVELS}…" for field in Settings.model_fields)
            raise ConfigurationError(f"environment variable {name}: no such setting; known are {known}")


def _nested(dotted: Mapping[str, object]) -> dict[str, dict[str, object]]:
    nested: dict[str, dict[str, object]] = {}
    for key, value in dotted.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _fault(loc: list[str], kind: str, message: str, options: Mapping[str, object], path: Path) -> str:
    """Return one sentence on a wrong key: the place it was taken from, the key, what is allowed."""
    key = ".".join(loc)
    set_here = {name.upper(): name for name in os.environ}
    variables = (PREFIX + _BETWEEN_LEVELS.join(loc).upper(), PREFIX + loc[0].upper())
    variable = next((set_here[name] for name in variables if name in set_here), None)
    place = "option" if key in options else f"environment variable {variable}" if variable else str(path)
    if kind == "extra_forbidden":
        return f"{place}: {key}: no such setting; known here are {', '.join(_known(loc[:-1]))}"
    return f"{place}: {key}: {message.removeprefix('Value error, ')}"


def _known(section: list[str]) -> list[str]:
    fields = Settings.model_fields
    for name in section:
        annotation = fields[name].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields
    return [field.alias or name for name, field in fields.items()]
