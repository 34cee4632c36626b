"""Labels: accounts and logins, projects and their tasks, what people said of them, and who changed what."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What a row of the audit log may not suffer, by dialect.
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER label_audit_no_{deed.lower()} BEFORE {deed} ON label_audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END"
        for deed in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION label_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is only ever added to'; END $$",
        "CREATE TRIGGER label_audit_no_change BEFORE UPDATE OR DELETE ON label_audit "
        "FOR EACH ROW EXECUTE FUNCTION label_audit_refuse()",
    ],
}


def upgrade() -> None:
    _people()
    _projects()
    _labels()
    op.create_table(
        "label_audit",
        sa.Column("number", sa.Integer(), nullable=False),
        _time("at"),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        _text("about"),
        _text("before"),
        _text("after"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_label_audit")),
    )
    op.create_index(op.f("ix_label_audit_about"), "label_audit", ["about"])
    for statement in _APPEND_ONLY.get(op.get_bind().dialect.name, []):
        op.execute(statement)


def _people() -> None:
    op.create_table(
        "label_accounts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("folded", sa.String(128), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False, server_default=sa.false()),
        _time("created_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_label_accounts")),
        sa.UniqueConstraint("folded", name=op.f("uq_label_accounts_folded")),
        sa.CheckConstraint("role IN ('admin', 'reviewer', 'annotator', 'viewer')", name=op.f("ck_label_accounts_role")),
    )
    op.create_table(
        "label_logins",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        _time("created_at"),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_label_logins")),
        _points("label_logins", "account", "label_accounts", "name"),
    )
    op.create_index(op.f("ix_label_logins_account"), "label_logins", ["account"])
    op.create_table(
        "label_login_failures",
        sa.Column("name_hash", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        _time("locked_until", nullable=True),
        _time("last_at"),
        sa.PrimaryKeyConstraint("name_hash", name=op.f("pk_label_login_failures")),
    )


def _projects() -> None:
    op.create_table(
        "label_projects",
        sa.Column("key", sa.String(16), nullable=False),
        _text("project"),
        sa.Column("open", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("created_by", sa.String(64), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_label_projects")),
    )
    op.create_table(
        "label_members",
        sa.Column("project_key", sa.String(16), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("project_key", "account", name=op.f("pk_label_members")),
        _points("label_members", "project_key", "label_projects", "key"),
        _points("label_members", "account", "label_accounts", "name"),
    )
    op.create_table(
        "label_chains",
        sa.Column("hash", sa.String(64), nullable=False),
        _text("chain"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_label_chains")),
    )
    op.create_table(
        "label_tasks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project_key", sa.String(16), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("other", sa.String(64), nullable=True),
        _text("setting"),
        sa.Column("gold", sa.Text(), nullable=True),
        sa.Column("qualification", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_tasks")),
        _points("label_tasks", "project_key", "label_projects", "key"),
        _points("label_tasks", "chain", "label_chains", "hash"),
        _points("label_tasks", "other", "label_chains", "hash"),
    )
    op.create_index(op.f("ix_label_tasks_project_key_place"), "label_tasks", ["project_key", "place"])


def _labels() -> None:
    op.create_table(
        "label_labels",
        *_written("label_labels"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="0"),
        _text("skip_reason", server_default=""),
        sa.Column("submission", sa.String(64), nullable=True),
        _time("reserved_until", nullable=True),
        sa.Column("stands", sa.Boolean(), nullable=False, server_default=sa.false()),
        _time("deferred_at", nullable=True),
        sa.UniqueConstraint("task", "author", name=op.f("uq_label_labels_task_author")),
        sa.CheckConstraint("status IN ('draft', 'submitted', 'skipped')", name=op.f("ck_label_labels_status")),
    )
    op.create_index(op.f("ix_label_labels_author_status"), "label_labels", ["author", "status"])
    op.create_table(
        "label_resolved",
        *_written("label_resolved"),
        sa.UniqueConstraint("task", name=op.f("uq_label_resolved_task")),
    )
    op.create_table(
        "label_versions",
        sa.Column("label", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        _text("judgement"),
        sa.Column("seconds", sa.Double(), nullable=False),
        _time("at"),
        sa.Column("submission", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("label", "number", name=op.f("pk_label_versions")),
    )


def _written(table: str) -> list[sa.schema.SchemaItem]:
    """The columns that labels and resolved labels share."""
    return [
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        _text("judgement"),
        sa.Column("seconds", sa.Double(), nullable=False, server_default="0"),
        sa.Column("rubric", sa.String(16), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("gold", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("qualification", sa.Boolean(), nullable=False, server_default=sa.false()),
        _time("created_at"),
        _time("updated_at"),
        _time("submitted_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        _points(table, "task", "label_tasks", "id"),
        _points(table, "author", "label_accounts", "name"),
        sa.CheckConstraint("seconds >= 0", name=op.f(f"ck_{table}_seconds")),
    ]


def _time(name: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, server_default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False, server_default=server_default)


def _points(table: str, column: str, target: str, key: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.{key}"], name=op.f(f"fk_{table}_{column}_{target}"))


def downgrade() -> None:
    """Labels go with their tables: export them before."""
    for table in ("audit", "versions", "resolved", "labels", "tasks", "chains", "members", "projects"):
        op.drop_table(f"label_{table}")
    for table in ("login_failures", "logins", "accounts"):
        op.drop_table(f"label_{table}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION label_audit_refuse()")
