"""Runs the revisions in ``versions`` on the connection that :class:`~transports.store.Database` brings."""

from alembic import context

# On SQLite, what "ALTER TABLE" cannot do is done by copying the table.
context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
