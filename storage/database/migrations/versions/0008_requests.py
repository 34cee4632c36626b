"""About whom each prompt was asked. Both tables begin empty: stored prompts are read when a screen first needs it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("data_hash", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "data_hash", "user_id", "item_id", "prompt_hash", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_prompt_hash"), "requests", ["prompt_hash"])
    op.create_table(
        "request_fills",
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("data_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "data_hash", name=op.f("pk_request_fills")),
    )


def downgrade() -> None:
    """Results stay; the older version reads about whom they are off their prompts."""
    op.drop_table("request_fills")
    op.drop_table("requests")
