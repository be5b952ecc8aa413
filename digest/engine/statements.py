"""What the queue says to PostgreSQL, in Procrastinate's tables."""

# ruff: noqa: S608 - nothing but our own words is put together

from typing import Final

ENQUEUE: Final = """
INSERT INTO procrastinate_jobs (queue_name, task_name, priority, queueing_lock, args)
SELECT queue, task, priority, identity, args::jsonb
FROM unnest(%s::text[], %s::text[], %s::int[], %s::text[], %s::text[]) AS new (queue, task, priority, identity, args)
ON CONFLICT DO NOTHING RETURNING id
"""
COUNT: Final = """
SELECT task_name, count(*) FROM procrastinate_jobs
WHERE status IN ('todo', 'doing') AND queue_name = ANY(%s) GROUP BY task_name
"""
AWAITED: Final = """
SELECT args->>'subject', count(*) FROM procrastinate_jobs
WHERE status IN ('todo', 'doing') AND queue_name = ANY(%s) GROUP BY 1
"""
SET_ASIDE: Final = """
SELECT id, attempts, args, (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'failed')
FROM procrastinate_jobs AS job
WHERE status = 'failed' AND queue_name = ANY(%s) ORDER BY id DESC LIMIT %s
"""
COUNT_ASIDE: Final = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed' AND queue_name = ANY(%s)"
# Without a heartbeat for so long; after the server was away, each is given the time that it may need to come back.
SILENT: Final = """
(worker.last_heartbeat < now() - %(after)s AND (
    worker.last_heartbeat > pg_postmaster_start_time() OR pg_postmaster_start_time() < now() - %(after)s - %(back)s
))
"""
# A worker's row may be gone and leave its jobs (procrastinate #1518).
STALLED: Final = f"""
SELECT job.id, job.attempts, job.args FROM procrastinate_jobs AS job
LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
WHERE job.status = 'doing' AND job.queue_name = ANY(%(queues)s)
AND (worker.id IS NULL OR {SILENT} OR worker.id = ANY(%(dead)s))
FOR UPDATE OF job SKIP LOCKED
"""
OWNERS: Final = "SELECT worker_id, owner FROM engine_workers"
ALIVE: Final = """
SELECT engine_workers.owner FROM engine_workers JOIN procrastinate_workers ON id = worker_id
WHERE last_heartbeat >= now() - %s
"""
PRUNE: Final = f"""
DELETE FROM procrastinate_workers AS worker WHERE ({SILENT} OR worker.id = ANY(%(dead)s))
AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.worker_id = worker.id AND job.status = 'doing')
"""
# Another with the same identity may wait already, and only one may: that one takes over what this one has behind it.
TAKE_OVER: Final = """
UPDATE procrastinate_jobs AS other
SET attempts = greatest(other.attempts, job.attempts + %(counted)s), args = other.args || %(note)s::jsonb,
    scheduled_at = greatest(other.scheduled_at, now() + %(pause)s)
FROM procrastinate_jobs AS job
WHERE job.id = %(id)s AND job.queueing_lock IS NOT NULL
AND other.queueing_lock = job.queueing_lock AND other.status = 'todo'
RETURNING other.id
"""
AGAIN: Final = """
UPDATE procrastinate_jobs SET status = 'todo', attempts = attempts + %(counted)s, args = args || %(note)s::jsonb,
    scheduled_at = now() + %(pause)s, worker_id = NULL
WHERE id = %(id)s
"""
ASIDE: Final = """
UPDATE procrastinate_jobs SET status = 'failed', attempts = attempts + %(counted)s, args = args || %(note)s::jsonb,
    scheduled_at = NULL, worker_id = NULL
WHERE id = %(id)s
"""
HOLD_ASIDE: Final = """
SELECT id FROM procrastinate_jobs WHERE id = %s AND status = 'failed' AND queue_name = ANY(%s) FOR UPDATE
"""
ANEW: Final = """
UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL, worker_id = NULL WHERE id = %(id)s
"""
HELD: Final = """
SELECT id FROM procrastinate_jobs
WHERE id = %s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %s FOR UPDATE
"""
DELETE: Final = "DELETE FROM procrastinate_jobs WHERE id = %s"
TIDY: Final = (
    "DELETE FROM procrastinate_jobs WHERE status IN ('succeeded', 'cancelled', 'aborted') AND queue_name = ANY(%s)",
    "DELETE FROM procrastinate_jobs AS job WHERE status = 'failed' AND queue_name = ANY(%s) AND NOT EXISTS "
    "(SELECT FROM procrastinate_events AS event WHERE event.job_id = job.id AND event.at > now() - %s)",
    "DELETE FROM procrastinate_events AS event USING procrastinate_jobs AS job WHERE job.id = event.job_id "
    "AND job.status IN ('todo', 'doing') AND job.queue_name = ANY(%s) AND event.at < now() - %s",
)
# As the library's trigger does it for new ones: a worker looks for tasks at once.
TELL: Final = """
SELECT pg_notify('procrastinate_queue_v1#' || queue, '{"type": "job_inserted", "job_id": 0}')
FROM unnest(%s::text[]) AS queue
"""
