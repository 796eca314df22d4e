"""Saved views and their pins. The next revision adds the project of a view, so each locks only one table in use."""

from alembic import op

revision = "2026_11_28_saved_views"
down_revision = "2026_11_28_former_refs_fill"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TYPE view_layout AS ENUM ('list', 'board');
CREATE TYPE view_visibility AS ENUM ('private', 'project', 'everyone');

CREATE TABLE saved_views (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_saved_views PRIMARY KEY,
    owner_id bigint NOT NULL CONSTRAINT fk_saved_views_owner_id_users REFERENCES users ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT ck_saved_views_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    query jsonb NOT NULL,
    layout view_layout NOT NULL,
    visibility view_visibility NOT NULL,
    project_id bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version bigint NOT NULL DEFAULT 1,
    CONSTRAINT ck_saved_views_has_project_if_shared_there
        CHECK ((visibility = 'project') = (project_id IS NOT NULL))
);
CREATE INDEX ix_saved_views_owner_id_id ON saved_views (owner_id, id);
CREATE INDEX ix_saved_views_project_id_id ON saved_views (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX ix_saved_views_everyone ON saved_views (id) WHERE visibility = 'everyone';

CREATE TABLE view_pins (
    user_id bigint NOT NULL CONSTRAINT fk_view_pins_user_id_users REFERENCES users ON DELETE CASCADE,
    view_id bigint NOT NULL CONSTRAINT fk_view_pins_view_id_saved_views REFERENCES saved_views ON DELETE CASCADE,
    position bigint NOT NULL,
    CONSTRAINT pk_view_pins PRIMARY KEY (user_id, view_id)
);
CREATE INDEX ix_view_pins_view_id ON view_pins (view_id);
"""
DOWNGRADE = """
DROP TABLE view_pins, saved_views;
DROP TYPE view_visibility, view_layout;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
