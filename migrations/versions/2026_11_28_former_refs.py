"""The refs that tasks had before they moved to another project. A trigger keeps them, so that no writer forgets it."""

from alembic import op

revision = "2026_11_28_former_refs"
down_revision = "2026_11_28_read_only_tasks"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE former_refs (
    project_id bigint NOT NULL,
    number bigint NOT NULL,
    task_id bigint NOT NULL CONSTRAINT fk_former_refs_task_id_tasks REFERENCES tasks ON DELETE CASCADE,
    CONSTRAINT pk_former_refs PRIMARY KEY (project_id, number)
);
CREATE INDEX ix_former_refs_task_id ON former_refs (task_id);

CREATE FUNCTION keep_former_ref() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO former_refs (project_id, number, task_id) VALUES (OLD.project_id, OLD.number, NEW.id)
        ON CONFLICT (project_id, number) DO UPDATE SET task_id = excluded.task_id;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_former_ref AFTER UPDATE ON tasks FOR EACH ROW
    WHEN ((OLD.project_id, OLD.number) IS DISTINCT FROM (NEW.project_id, NEW.number))
    EXECUTE FUNCTION keep_former_ref();
"""
DOWNGRADE = """
DROP TRIGGER keep_former_ref ON tasks;
DROP FUNCTION keep_former_ref;
DROP TABLE former_refs;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
