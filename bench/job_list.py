"""How long a page of a long list takes."""

from __future__ import annotations

import time

from bench.errors import BenchError
from bench.report import Row
from bench.stack import Stack
from stablequeue_project.stack import ports

_JOBS = 20_000
_PAGE = 50

# Finished jobs with a picture each, as a queue has after some months.
_FILL = """
WITH made AS (
    INSERT INTO jobs_job (id, status, kind, parameters, seed, server_id, target_alias,
                          source_info, attempt, retry_count, task_id, beat, errors, result,
                          created_at, finished_at)
    SELECT gen_random_uuid(), 'completed', 'txt2img',
           '{"positive_prompt": "a lighthouse in a storm", "width": 1024, "height": 1024}',
           number, server.id, server.alias, '', 1, 0, 'task', 0, '[]',
           '{"images": ["a.png"], "info": "", "generation_info": {}, "warnings": []}',
           now() - number * interval '1 minute', now() - number * interval '1 minute'
    FROM generate_series(1, %s) AS number, (SELECT * FROM servers_server LIMIT 1) AS server
    RETURNING id, seed
)
INSERT INTO jobs_image (job_id, index, name, seed, bytes, sha256)
SELECT id, 0, id || '.png', seed, 500000, repeat('0', 64) FROM made
"""


def job_list(stack: Stack, *, quick: bool) -> list[Row]:
    """A page of 50 out of 20,000 jobs, at the beginning and at the end."""
    stack.add_server("List", ports.free_port())
    with stack.database() as database:
        row = database.execute("SELECT count(*) FROM jobs_job").fetchone()
        missing = _JOBS - (row[0] if row else 0)
        database.execute(_FILL, [max(missing, 0)])
        database.execute("ANALYZE")
    count = 12 if quick else 100
    total = max(_JOBS, _JOBS - missing)
    return [
        Row(f"list of {_PAGE} out of {total}, offset {offset}", _times(stack, offset, count))
        for offset in (0, total - _PAGE)
    ]


def _times(stack: Stack, offset: int, count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.monotonic()
        told = stack.api.call("GET", f"/api/v1/queue/jobs?limit={_PAGE}&offset={offset}")
        times.append(time.monotonic() - began)
        if len(told["jobs"]) != _PAGE:
            raise BenchError(f"The list at offset {offset} has {len(told['jobs'])} jobs.")
    return times
