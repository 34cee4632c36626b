"""What Alembic runs around the migrations: they go through the connection, and the transaction, that is handed in."""

from alembic import context

from storage.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()
