"""A server's line run down by hand, without a Forge: who is next, and next, and next."""

from __future__ import annotations

from jobs import lifecycle, scheduling
from jobs.models import Job, Slot


def start_next(server):
    """Admit whose turn it is there, as the dispatcher does, and end it; None if nobody's."""
    choices = scheduling.next_turn().choices
    choice = next((choice for choice in choices if choice.server_id == server.pk), None)
    if choice is None:
        return None
    lifecycle.admit(
        job_id=choice.job_id, last_attempt=choice.last_attempt, server_id=choice.server_id
    )
    scheduling.keep_standings(choice.server_id, choice.standings)
    job = Job.objects.get(id=choice.job_id)
    if job.checkpoint:
        Slot.objects.filter(server=server).update(loaded=job.checkpoint)
    lifecycle.cancel(job_id=job.id)
    return job


def order_of(server, most=10_000):
    """The jobs of a server in the order in which they are started."""
    started = []
    while len(started) < most and (job := start_next(server)) is not None:
        started.append(job)
    return started
