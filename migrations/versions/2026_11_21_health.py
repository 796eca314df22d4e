"""When worker and beat were last seen at work, and how jobs ended."""

from alembic import op

revision = "2026_11_21_health"
down_revision = "2026_11_21_task_history"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TYPE part AS ENUM ('worker', 'beat');
CREATE TYPE job_result AS ENUM ('succeeded', 'failed');

-- Rows are updated every few seconds. With free space in the page, an update needs no new index entry.
CREATE TABLE sightings (
    part part CONSTRAINT pk_sightings PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE job_counts (
    job text NOT NULL,
    result job_result NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    seconds double precision NOT NULL DEFAULT 0,
    CONSTRAINT pk_job_counts PRIMARY KEY (job, result)
) WITH (fillfactor = 50);
"""
DOWNGRADE = """
DROP TABLE job_counts, sightings;
DROP TYPE job_result;
DROP TYPE part;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
