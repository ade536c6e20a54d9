"""The store's migrations, run by Alembic inside a transaction of the store; there is no alembic.ini."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def migrate(connection: sa.Connection, revision: str) -> None:
    """Bring the schema up to `revision` (`head`: the newest) in the connection's transaction."""
    command.upgrade(_config(connection), revision)


def migrate_down(connection: sa.Connection, revision: str) -> None:
    """Take the schema down to `revision` (`base`: no tables), losing what it does not hold."""
    command.downgrade(_config(connection), revision)


def _config(connection: sa.Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
