"""When was a task created, started and completed that an import creates? SQL expressions on a row of import_batch.

A task is not completed before it was created, nor in the future. PostgreSQL's least and greatest pass over null.
"""

_HAS_ENDED = "status IN ('done', 'cancelled')"
_COMPLETED_AT = "least(greatest(coalesce(completed_at, :now), created_at), CAST(:now AS timestamptz))"
TIMES_OF_NEW_TASK = {
    "created_at": f"""
        coalesce(created_at, least(started_at, CASE WHEN {_HAS_ENDED} THEN completed_at END, CAST(:now AS timestamptz)))
    """,
    "started_at": f"""
        CASE WHEN started_at IS NOT NULL
             THEN least(started_at, CASE WHEN {_HAS_ENDED} THEN {_COMPLETED_AT} ELSE CAST(:now AS timestamptz) END)
             WHEN status = 'in_progress' THEN CAST(:now AS timestamptz) END
    """,
    "completed_at": f"CASE WHEN {_HAS_ENDED} THEN {_COMPLETED_AT} END",
}
