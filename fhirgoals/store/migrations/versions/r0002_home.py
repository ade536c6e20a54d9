"""Where the store lies, so that one that was restored or copied is known; see `store/restored.py`."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the next opening fills it."""
    op.add_column("installation", sa.Column("home", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take the column away; a copy is then no longer known."""
    op.drop_column("installation", "home")
