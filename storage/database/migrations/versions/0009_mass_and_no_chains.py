"""The mass behind P(yes), not known of what is stored already; and texts that are no chain, which have no P(yes)."""

from contextlib import AbstractContextManager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FINISH = "ck_traces_finish"
_CHAINS = "finish IN ('stop', 'length')"
_ALL = "finish IN ('stop', 'length', 'filter', 'tool', 'empty')"


def upgrade() -> None:
    op.add_column("answers", sa.Column("mass", sa.Double(), nullable=True))
    with _traces(_CHAINS) as traces:
        traces.add_column(sa.Column("mass", sa.Double(), nullable=True))
        traces.alter_column("p_yes", existing_type=sa.Double(), nullable=True)
        traces.drop_constraint(op.f(_FINISH), type_="check")
        traces.create_check_constraint(op.f(_FINISH), sa.text(_ALL))


def downgrade() -> None:
    """Results whose mass is known, and texts that are no chain, go too: the older version could not check them."""
    op.execute(sa.text("DELETE FROM answers WHERE mass IS NOT NULL"))
    op.execute(sa.text(f"DELETE FROM traces WHERE mass IS NOT NULL OR NOT {_CHAINS}"))
    op.drop_column("answers", "mass")
    with _traces(_ALL, sa.Column("mass", sa.Double(), nullable=True)) as traces:
        traces.drop_column("mass")
        traces.alter_column("p_yes", existing_type=sa.Double(), nullable=False)
        traces.drop_constraint(op.f(_FINISH), type_="check")
        traces.create_check_constraint(op.f(_FINISH), sa.text(_CHAINS))


def _traces(finish: str, *more: sa.Column[float]) -> AbstractContextManager[BatchOperations]:
    """The table of chains, to be changed. SQLite copies it, and is told what it is now, checks and all."""
    named = sa.Table(
        "traces",
        sa.MetaData(),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=True),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("p_yes", sa.Double(), nullable=bool(more)),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("sample_index", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("finish", sa.String(16), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False, server_default="0"),
        *more,
        sa.PrimaryKeyConstraint("key", name=op.f("pk_traces")),
        sa.ForeignKeyConstraint(["prompt_hash"], ["prompts.hash"], name=op.f("fk_traces_prompt_hash_prompts")),
        sa.CheckConstraint("p_yes >= 0 AND p_yes <= 1", name=op.f("ck_traces_p_yes")),
        sa.CheckConstraint("sample_index >= 0", name=op.f("ck_traces_sample_index")),
        sa.CheckConstraint(finish, name=op.f(_FINISH)),
        sa.Index(op.f("ix_traces_prompt_hash_model"), "prompt_hash", "model"),
    )
    return op.batch_alter_table("traces", copy_from=named)
