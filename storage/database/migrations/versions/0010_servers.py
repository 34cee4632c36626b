"""What servers said of the models that they serve. The table begins empty: a server is asked at the next contact."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "servers",
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("server", "model", "revision", name=op.f("pk_servers")),
    )


def downgrade() -> None:
    """Results stay; the older version does not know what a server is called."""
    op.drop_table("servers")
