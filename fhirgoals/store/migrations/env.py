"""Alembic's entry: takes the connection that `migrate` hands over and runs the migrations in its transaction."""

from alembic import context

from fhirgoals.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    version_table=schema.VERSION_TABLE,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
