"""How many of the history's oldest lines were left out for an answer or a chain: none, for what is stored already."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Added in place: no table is copied, however many rows it holds.
    for table in ("answers", "traces"):
        op.add_column(table, sa.Column("dropped", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Results for which lines were left out go too: the older version could not check them."""
    for table in ("answers", "traces"):
        op.execute(sa.text(f"DELETE FROM {table} WHERE dropped <> 0"))
        op.drop_column(table, "dropped")
