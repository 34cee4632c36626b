"""Jobs: what somebody asked for that takes a while, who runs it, and how far it is."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("worker", sa.String(64), nullable=True),
        sa.Column("stop_asked", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("stage", sa.Text(), nullable=False, server_default=""),
        sa.Column("fraction", sa.Double(), nullable=True),
        sa.Column("finished", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_jobs")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'stopped', 'failed', 'interrupted')", name=op.f("ck_jobs_state")
        ),
        sa.CheckConstraint("fraction >= 0 AND fraction <= 1", name=op.f("ck_jobs_fraction")),
    )
    op.create_index(op.f("ix_jobs_state_queued_at"), "jobs", ["state", "queued_at"])
    op.create_index(op.f("ix_jobs_key"), "jobs", ["key"])


def downgrade() -> None:
    """What jobs made stays: answers and chains are in the cache, artifacts in their folders."""
    op.drop_table("jobs")
