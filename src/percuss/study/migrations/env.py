"""What alembic runs: the steps, in the transaction that the caller began."""

from __future__ import annotations

from alembic import context

from percuss.study.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
with context.begin_transaction():
    context.run_migrations()
