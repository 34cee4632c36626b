"""The cache: prompts, the answers to them, and the reasoning chains drawn from them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prompts",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_prompts")),
    )
    _create_results(
        "answers",
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
    )
    _create_results(
        "traces",
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("sample_index", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("finish", sa.String(16), nullable=False),
        sa.CheckConstraint("sample_index >= 0", name=op.f("ck_traces_sample_index")),
        sa.CheckConstraint("finish IN ('stop', 'length')", name=op.f("ck_traces_finish")),
    )


def downgrade() -> None:
    for table in ("traces", "answers", "prompts"):
        op.drop_table(table)


def _create_results(table: str, *more: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("p_yes", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("key", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(["prompt_hash"], ["prompts.hash"], name=op.f(f"fk_{table}_prompt_hash_prompts")),
        sa.CheckConstraint("p_yes >= 0 AND p_yes <= 1", name=op.f(f"ck_{table}_p_yes")),
    )
    op.create_index(op.f(f"ix_{table}_prompt_hash_model"), table, ["prompt_hash", "model"])
