"""The records of the queue: jobs and their batches, slots of the GPUs, pictures, processes."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, FloatField, Func, Q, Subquery
from django.db.models.functions import Now

from apikeys.models import ApiKey
from jobs.order_models import Queue, Standing
from jobs.storage_models import Disk, KeepRule, SweepMark
from servers.models import Server

__all__ = ["Batch", "Disk", "Image", "Input", "Job", "JobQuerySet", "KeepRule", "Process"]
__all__ += ["Queue", "Slot", "Standing", "SweepMark"]

NOBODY = uuid.UUID(int=0)
"""The owner of what our own page submitted."""


class JobQuerySet(models.QuerySet["Job"]):
    """Filters that read like English."""

    def pending(self) -> JobQuerySet:
        return self.filter(status=Job.Status.PENDING)

    def processing(self) -> JobQuerySet:
        return self.filter(status=Job.Status.PROCESSING)

    def in_line(self) -> JobQuerySet:
        """The next one first, as far as that can be told without looking at their servers."""
        return self.order_by("-urgency", "is_background", "-priority", "position", "id")

    def due(self) -> JobQuerySet:
        """Jobs whose waiting time after a failed try is over."""
        return self.filter(Q(not_before=None) | Q(not_before__lte=Now()))

    def with_everything_shown(self) -> JobQuerySet:
        """With what one answer about a job needs, so that a list costs two queries.

        `held_because` says why nothing at all is admitted now, `paused_because` why a person
        lets nothing be started; they are null if that is not so.
        """
        held = Subquery(Disk.objects.reasons_to_hold()[:1])
        paused = Subquery(Queue.objects.filter(is_paused=True).values("reason")[:1])
        shown = self.select_related("slot").prefetch_related("server")
        return shown.annotate(held_because=held, paused_because=paused)


class Batch(models.Model):
    """Jobs that were submitted by one request."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, blank=True)
    # How many were submitted; some may have been deleted since.
    total = models.PositiveIntegerField()
    submitted_by = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, related_name="batches"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["-created_at", "-id"], name="batch_newest")]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"batch {str(self.id)[:8]} of {self.total}"


class Job(models.Model):
    """One requested generation."""

    class Status(models.TextChoices):
        """The five public states. Only `jobs.lifecycle` writes them."""

        PENDING = "pending"
        PROCESSING = "processing"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Kind(models.TextChoices):
        TXT2IMG = "txt2img"
        IMG2IMG = "img2img"

    class Urgency(models.IntegerChoices):
        """What a person said about the moment of a job, beside its priority."""

        NONE = 0
        #: Before all others that wait for its server.
        FRONT = 1
        #: Also while the queue or its server is paused.
        NOW = 2

    ENDED: ClassVar = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    kind = models.CharField(max_length=7, choices=Kind, default=Kind.TXT2IMG)
    parameters = models.JSONField()
    # Drawn once at submit, so that a second try draws the same picture.
    seed = models.BigIntegerField()
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="jobs")
    # The alias as the client sent it, kept through renames.
    target_alias = models.CharField(max_length=64)
    submitted_by = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, related_name="jobs"
    )
    source_info = models.CharField(max_length=200, blank=True)
    # Null for a job of its own. A job and its pictures outlive the batch; the index is below.
    batch = models.ForeignKey(
        Batch, on_delete=models.SET_NULL, null=True, related_name="jobs", db_index=False
    )

    # Who takes turns with others: the key's id, also when the key is gone.
    owner = models.UUIDField(db_default=NOBODY)
    # From 1 to 10; the highest goes first.
    priority = models.PositiveSmallIntegerField(db_default=5)
    # Goes after all that are not.
    is_background = models.BooleanField(db_default=False)
    urgency = models.PositiveSmallIntegerField(choices=Urgency, db_default=Urgency.NONE)
    # The order among equals: the second of the submit, until somebody moves the job.
    position = models.FloatField(
        db_default=Func(
            Now(),
            function="date_part",
            template="date_part('epoch', %(expressions)s)",
            output_field=FloatField(),
        )
    )
    # The wanted checkpoint in a form that is the same however it was written; empty for any.
    checkpoint = models.CharField(max_length=200, db_default="")

    # Steps times pixels of all its pictures.
    work = models.FloatField(db_default=0.0)

    # Number of the current try; only grows; the fencing token of every worker's write.
    attempt = models.PositiveIntegerField(default=0)
    # Tries that were charged: started again after a stated failure.
    retry_count = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    task_id = models.CharField(max_length=64, blank=True)
    # Bumped by the worker while it saves the pictures, when the slot is free already.
    beat = models.BigIntegerField(default=0)
    errors = models.JSONField(default=list)
    result = models.JSONField(null=True)

    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    # Spared by retention.
    is_starred = models.BooleanField(db_default=False)

    inputs: models.ManyToManyField[Input, Any] = models.ManyToManyField(
        "Input", related_name="jobs"
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="job_status_known",
                condition=Q(
                    status__in=["pending", "processing", "completed", "failed", "cancelled"]
                ),
            ),
            models.CheckConstraint(
                name="job_finished_at_iff_ended",
                condition=Q(
                    status__in=["completed", "failed", "cancelled"], finished_at__isnull=False
                )
                | Q(status__in=["pending", "processing"], finished_at__isnull=True),
            ),
            models.CheckConstraint(
                name="job_completed_has_result",
                condition=~Q(status="completed") | Q(result__isnull=False),
            ),
            models.CheckConstraint(
                name="job_processing_has_attempt",
                condition=~Q(status="processing") | Q(attempt__gte=1),
            ),
            models.CheckConstraint(
                name="job_charged_at_most_once_per_attempt",
                condition=Q(retry_count__lte=F("attempt")),
            ),
            models.CheckConstraint(
                name="job_priority_1_to_10", condition=Q(priority__gte=1, priority__lte=10)
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="job_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="job_newest_by_status"),
            models.Index(fields=["status", "-finished_at"], name="job_latest_ended_by_status"),
            models.Index(
                fields=["server", "created_at", "id"],
                name="job_waiting_by_server",
                condition=Q(status="pending"),
            ),
            # In a server's line the first of each key, and its first for a checkpoint.
            models.Index(
                fields=["server", "is_background", "-priority", "owner", "position", "id"],
                name="job_line_by_owner",
                condition=Q(status="pending"),
            ),
            models.Index(
                fields=[
                    "server",
                    "is_background",
                    "-priority",
                    "owner",
                    "checkpoint",
                    "position",
                    "id",
                ],
                name="job_line_by_checkpoint",
                condition=Q(status="pending"),
            ),
            models.Index(
                fields=["-urgency", "is_background", "-priority", "position", "id"],
                name="job_line",
                condition=Q(status="pending"),
            ),
            models.Index(fields=["id"], name="job_processing", condition=Q(status="processing")),
            models.Index(
                fields=["batch", "created_at", "id"],
                name="job_by_batch",
                condition=Q(batch__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"job {str(self.id)[:8]} {self.status}"


class Slot(models.Model):
    """The right to use one server's GPU once: the lease. One row per server.

    `task_id` names the generation the slot was given for and `attempt` who may write:
    a worker whose pair is no longer the row's has lost the lease and must stop.
    """

    class State(models.TextChoices):
        #: Nobody's.
        FREE = "free"
        #: Promised to a job; its message is on the way to a worker.
        ADMITTED = "admitted"
        #: A worker has it; nothing was sent to Forge yet.
        CLAIMED = "claimed"
        #: The generation was, or is just about to be, sent to Forge.
        SENT = "sent"
        #: The job is gone from it, but Forge may still be drawing.
        DRAINING = "draining"

    server = models.OneToOneField(Server, on_delete=models.CASCADE, primary_key=True)
    state = models.CharField(max_length=8, choices=State, default=State.FREE)
    job = models.OneToOneField(Job, on_delete=models.SET_NULL, null=True, related_name="slot")
    attempt = models.PositiveIntegerField(default=0)
    task_id = models.CharField(max_length=64, blank=True)
    # Empty while no worker has taken up the message.
    worker = models.CharField(max_length=200, blank=True)
    beat = models.BigIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    phase = models.CharField(max_length=16, blank=True)
    progress = models.FloatField(default=0)
    # Why a recovery has it though its worker lives: the code and sentence to charge with
    # if the picture cannot be found.
    trouble = models.JSONField(null=True)
    eta_seconds = models.FloatField(null=True)
    # The checkpoint of the last generation that was sent there; empty if not known.
    loaded = models.CharField(max_length=200, db_default="")
    # The job in whose middle that Forge was gone; until another one ran, others go first.
    suspect = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="slot_held_by_a_job_or_by_none",
                condition=Q(state__in=["free", "draining"], job__isnull=True)
                | Q(state__in=["admitted", "claimed", "sent"], job__isnull=False),
            ),
            models.CheckConstraint(
                name="slot_sent_at_before_request",
                condition=~Q(state="sent") | Q(sent_at__isnull=False),
            ),
            models.CheckConstraint(
                name="slot_task_id_unless_free", condition=Q(state="free") | ~Q(task_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"slot of server {self.server_id} {self.state}"


class Image(models.Model):
    """One produced picture: a file in the outputs folder and this row."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="images")
    index = models.PositiveIntegerField()
    name = models.CharField(max_length=100, unique=True)
    seed = models.BigIntegerField()
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    # Of all sizes together; 0 while there are none.
    thumbnail_bytes = models.PositiveBigIntegerField(db_default=0)
    # Null when they are made, or can't be.
    thumbnails_due_at = models.DateTimeField(null=True, db_default=Now())

    class Meta:
        ordering = ["job_id", "index"]
        constraints = [
            models.UniqueConstraint(fields=["job", "index"], name="image_once_per_index")
        ]
        indexes = [
            models.Index(
                fields=["thumbnails_due_at"],
                name="image_thumbnails_due",
                condition=Q(thumbnails_due_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Input(models.Model):
    """A picture a client sent (init, mask, ControlNet): a file named by its SHA-256."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    bytes = models.PositiveBigIntegerField()
    content_type = models.CharField(max_length=20)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.sha256[:12]


class Process(models.Model):
    """A living process of ours, as it last said so itself. Times are the database's."""

    class Role(models.TextChoices):
        DISPATCHER = "dispatcher"
        WORKER = "worker"
        CHORES = "chores"

    class State(models.TextChoices):
        #: Does the work of its role.
        SERVES = "serves"
        #: A dispatcher that waits for the leading one to fail.
        STANDS_BY = "stands_by"
        #: A worker whose queues hold messages that it does not take.
        DEAF = "deaf"

    name = models.CharField(max_length=200, primary_key=True)
    role = models.CharField(max_length=10, choices=Role)
    state = models.CharField(max_length=9, choices=State, db_default=State.SERVES)
    # Bumped with each word, so that a process can be watched without a clock.
    beat = models.BigIntegerField(db_default=0)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return f"{self.role} {self.name}"


class Tally(models.Model):
    """What has been counted of the event log so far, for one server and one label.

    No foreign key: what a server did is not undone when its row goes.
    """

    class Measure(models.TextChoices):
        #: Jobs that ended, by the status they ended with.
        ENDED = "ended"
        #: Attempts that ended, by outcome and code; `seconds` is how long they held a worker.
        ATTEMPT = "attempt"
        #: Completed jobs by the bucket of the seconds from claim to completion.
        DURATION = "duration"
        #: First attempts by the bucket of the seconds that the job had waited.
        WAIT = "wait"

    measure = models.CharField(max_length=8, choices=Measure)
    # 0 where the job was deleted before it was counted.
    server_id = models.BigIntegerField()
    label = models.CharField(max_length=80)
    count = models.BigIntegerField()
    seconds = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["measure", "server_id", "label"], name="tally_once_per_label"
            )
        ]
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.measure} of server {self.server_id} {self.label}: {self.count}"


class TallyMark(models.Model):
    """How far the event log has been counted. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    event_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"counted up to event {self.event_id}"
