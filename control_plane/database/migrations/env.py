"""What Alembic runs for every migration; the connection comes from control_plane.database.migration."""

from alembic import context

from control_plane.database.schema import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata,
                  render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
