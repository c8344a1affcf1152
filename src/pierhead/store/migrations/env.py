"""How Alembic runs inside Pierhead: on a connection that `schema.migrate` hands over."""

from alembic import context

from pierhead.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
