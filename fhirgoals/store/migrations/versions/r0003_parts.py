"""Where each part of a unit came from: an EHR's part stays its own beside ours; see `domain/origins.py`."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what is there already, every part came with the last change."""
    op.add_column("unit_revisions", sa.Column("parts", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take the column away; the last change then speaks for the whole unit again."""
    op.drop_column("unit_revisions", "parts")
