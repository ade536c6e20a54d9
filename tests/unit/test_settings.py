"""The settings: three places, one order, messages that help and hold no value."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fhirgoals.errors import ConfigurationError
from fhirgoals.settings import DEFAULT_FILE, Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts in a folder without settings and with none in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FHIRGOALS_CONFIG", raising=False)


def write(text: str) -> Path:
    DEFAULT_FILE.parent.mkdir(exist_ok=True)
    DEFAULT_FILE.write_text(text, encoding="utf-8")
    return DEFAULT_FILE


def test_defaults_need_no_file() -> None:
    """Without a file or a variable every setting has its default."""
    settings = load_settings()
    assert settings.store.url == "sqlite:///fhirgoals.db"
    assert (settings.log.level, settings.log.as_json, settings.paths.ehr) == ("warning", True, Path("config/ehr"))


def test_environment_goes_before_file_and_options_before_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stronger place wins key by key; the other keys of a section stay as the weaker place has them."""
    write('[store]\nurl = "sqlite:///file.db"\n[log]\nlevel = "info"\njson = false\n')
    assert load_settings().store.url == "sqlite:///file.db"
    monkeypatch.setenv("FHIRGOALS_STORE__URL", "sqlite:///env.db")
    monkeypatch.setenv("FHIRGOALS_LOG__LEVEL", "error")
    settings = load_settings(options={"store.url": "sqlite:///option.db", "log.json": None})
    assert (settings.store.url, settings.log.level, settings.log.as_json) == ("sqlite:///option.db", "error", False)


def test_variable_sets_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A boolean is read from the environment under the name it has in the file."""
    monkeypatch.setenv("FHIRGOALS_LOG__JSON", "false")
    assert load_settings().log.as_json is False


def test_config_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FHIRGOALS_CONFIG moves the file; what an option names goes before it."""
    (tmp_path / "one.toml").write_text('[log]\nlevel = "debug"\n')
    (tmp_path / "two.toml").write_text('[log]\nlevel = "info"\n')
    monkeypatch.setenv("FHIRGOALS_CONFIG", "one.toml")
    assert load_settings().log.level == "debug"
    assert load_settings(Path("two.toml")).log.level == "info"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[log]\nlevel = "S3CRET"\n', ["config/fhirgoals.toml", "log.level", "'debug', 'info', 'warning' or 'error'"]),
        ('[log]\njson = "S3CRET"\n', ["config/fhirgoals.toml", "log.json", "boolean"]),
        ('[store]\nurl = "mysql://u:S3CRET@h/d"\n', ["store.url", "sqlite:///FILE or postgresql://USER@HOST/DATABASE"]),
        ('[store]\nurl = ["S3CRET"]\n', ["store.url", "string"]),
        ('[store]\nurll = "S3CRET"\n', ["store.urll", "no such setting", "known here are url"]),
        ('[stor]\nurl = "S3CRET"\n', ["stor", "no such setting", "store, log, paths"]),
        ('store = "S3CRET"\n', ["config/fhirgoals.toml", "store"]),
        ('from_file = "S3CRET"\n', ["from_file", "no such setting"]),
        ("[store]\nurl = S3CRET\n", ["config/fhirgoals.toml", "line 2, column 7"]),
        ('url = "S3CRET', ["config/fhirgoals.toml", "not valid TOML"]),
    ],
)
def test_wrong_file_is_named_with_key_and_allowed_values(text: str, parts: list[str]) -> None:
    """A message names file, key and what is allowed, and never the value."""
    write(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "S3CRET" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("variable", "value", "parts"),
    [
        (
            "FHIRGOALS_STORE__URL",
            "S3CRET",
            ["environment variable FHIRGOALS_STORE__URL", "store.url", "sqlite:///FILE"],
        ),
        ("FHIRGOALS_STORE__URLL", "S3CRET", ["environment variable FHIRGOALS_STORE__URLL", "known here are url"]),
        ("FHIRGOALS_STOR__URL", "S3CRET", ["environment variable FHIRGOALS_STOR__URL", "FHIRGOALS_STORE__…"]),
        ("FHIRGOALS_STORE", "S3CRET", ["environment variable FHIRGOALS_STORE"]),
        ("FHIRGOALS_LOG", '{"level": "S3CRET"}', ["environment variable FHIRGOALS_LOG", "log.level", "'debug'"]),
    ],
)
def test_wrong_variable_is_named(variable: str, value: str, parts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A message on a value from the environment names the variable, and never the value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "S3CRET" not in str(caught.value)


def test_wrong_option_is_named() -> None:
    """A message on an option says so, not that a file is wrong."""
    with pytest.raises(ConfigurationError, match=r"^option: log\.level: Input should be 'debug'"):
        load_settings(options={"log.level": "loud"})


def test_every_fault_is_told_at_once() -> None:
    """Two wrong keys make one message with both."""
    write('[log]\nlevel = "loud"\n[store]\nurl = "x"\n')
    with pytest.raises(ConfigurationError, match=r"store\.url.*; .*log\.level"):
        load_settings()


def test_missing_file_is_an_error_only_where_it_was_named() -> None:
    """A file that someone named must be there."""
    with pytest.raises(ConfigurationError, match=r"^nowhere\.toml: no such file"):
        load_settings(Path("nowhere.toml"))


@pytest.mark.parametrize("content", [b"\xff\xfe[log]", b"x = 1\n\xc3\x28"])
def test_file_of_another_encoding_is_refused(content: bytes, tmp_path: Path) -> None:
    """A file that is not UTF-8 is named, without a traceback."""
    (tmp_path / "odd.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"^odd\.toml: not UTF-8"):
        load_settings(Path("odd.toml"))


def test_unreadable_path_is_refused(tmp_path: Path) -> None:
    """A folder in place of the file is named, without a traceback."""
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"^folder\.toml: can't be read"):
        load_settings(Path("folder.toml"))


def test_password_is_not_shown() -> None:
    """Settings that are printed, as in a traceback, do not show the store's URL."""
    settings = load_settings(options={"store.url": "postgresql://u:S3CRET@h/d"})
    assert "S3CRET" not in repr(settings)


def test_shipped_file_lists_every_setting_with_its_default() -> None:
    """Uncommented, config/fhirgoals.toml gives the defaults, and leaves none out."""
    lines = (ROOT / "config/fhirgoals.toml").read_text(encoding="utf-8").splitlines()
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line else line for line in lines if "=" in line or "[" in line[:1]
    )
    listed = tomllib.loads(uncommented)
    defaults = Settings().model_dump(mode="json", by_alias=True)
    assert listed == defaults
