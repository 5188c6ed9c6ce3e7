"""The records of the catalogue: the model files that lie in our folders, and the scans of them."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

UNFINISHED = ("wanted", "running")


class FolderFileQuerySet(models.QuerySet["FolderFile"]):
    """Filters that read like English."""

    def present(self) -> FolderFileQuerySet:
        """Files that the last scan of their folder found."""
        return self.filter(missing_since=None)

    def without_thumbnails(self) -> FolderFileQuerySet:
        """Files whose previews have changed since small versions of them were made."""
        return self.present().filter(thumbnails_due=True)

    def without_hashes(self) -> FolderFileQuerySet:
        """Files whose bytes nobody has read as a whole yet, and that can be read."""
        return self.present().filter(sha256="", hash_trouble="")


class FolderFile(models.Model):
    """A checkpoint or LoRA file in one of our folders, with all that is known of it.

    It keeps its id and its hashes while it is away, as when a disk is not mounted.
    """

    class Type(models.TextChoices):
        CHECKPOINT = "checkpoint"
        LORA = "lora"

    class Condition(models.TextChoices):
        #: Its header was read.
        READ = "read"
        #: A format without a header that we read (GGUF).
        UNREAD = "unread"
        #: A pickle, which may run code when it is loaded. It is never opened but to be hashed.
        UNSAFE = "unsafe"
        #: No safetensors file, or one that was made to break its reader; `trouble` says why.
        UNREADABLE = "unreadable"

    type = models.CharField(max_length=10, choices=Type)
    # The folder of the settings it was found in, and its path below that, with slashes.
    root = models.TextField()
    path = models.TextField()
    filename = models.TextField()
    size = models.BigIntegerField()
    modified_ns = models.BigIntegerField()
    created_at = models.DateTimeField()
    modified_at = models.DateTimeField()
    condition = models.CharField(max_length=10, choices=Condition)
    trouble = models.CharField(max_length=200, blank=True, default="")
    # Tells whether it, or what lies beside it, has to be looked at again.
    beside = models.CharField(max_length=64, blank=True, default="")
    previews = models.JSONField(default=list)
    # Whether small versions of the first of them are to be made.
    thumbnails_due = models.BooleanField(default=False)

    # What header and sidecars tell.
    base_model = models.CharField(max_length=100, blank=True, default="")
    base_model_source = models.CharField(max_length=10, blank=True, default="")
    civitai_id = models.BigIntegerField(null=True)
    version_id = models.BigIntegerField(null=True)
    civitai_name = models.TextField(blank=True, default="")
    version_name = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    tags = models.JSONField(default=list)
    trigger_words = models.JSONField(default=list)
    downloads = models.BigIntegerField(null=True)
    favorited = models.BigIntegerField(null=True)
    rating = models.FloatField(null=True)
    notes = models.TextField(blank=True, default="")
    metadata_source = models.CharField(max_length=20, blank=True, default="")

    # Of the bytes as they are: emptied when size or time changes.
    sha256 = models.CharField(max_length=64, blank=True, default="")
    autov1 = models.CharField(max_length=8, blank=True, default="")
    autov3 = models.CharField(max_length=12, blank=True, default="")
    # Why its bytes could not be read; tried again after the next scan.
    hash_trouble = models.CharField(max_length=200, blank=True, default="")

    missing_since = models.DateTimeField(null=True)

    objects = FolderFileQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["root", "path", "type"], name="one_row_per_file")
        ]
        indexes = [
            models.Index("sha256", name="folder_file_sha256"),
            models.Index("filename", name="folder_file_filename"),
            models.Index("path", name="folder_file_path"),
            models.Index("id", name="folder_file_to_shrink", condition=Q(thumbnails_due=True)),
            models.Index(
                "size",
                name="folder_file_to_hash",
                condition=Q(sha256="", hash_trouble="", missing_since=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.path}"


class ScanQuerySet(models.QuerySet["Scan"]):
    """Filters that read like English."""

    def unfinished(self) -> ScanQuerySet:
        return self.filter(state__in=UNFINISHED)

    def abandoned(self) -> ScanQuerySet:
        """Those whose process gave no word for so long that it must be gone."""
        silence = timedelta(seconds=settings.SCAN_DEAD_AFTER)
        return self.filter(state="running", beat_at__lt=Now() - silence)


class Scan(models.Model):
    """One look through the folders: who asked for it, how far it is, what it found."""

    class State(models.TextChoices):
        WANTED = "wanted"
        RUNNING = "running"
        FINISHED = "finished"
        STOPPED = "stopped"

    state = models.CharField(max_length=10, choices=State, default=State.WANTED)
    wanted_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # The word of the process that scans. A later take-over has another number and fences it.
    beat_at = models.DateTimeField(null=True)
    turn = models.PositiveIntegerField(default=0)
    stop_wanted = models.BooleanField(default=False)

    # Where it is just now.
    folder = models.TextField(blank=True, default="")
    # Files that were there before it began, to tell how far it may be.
    expected = models.PositiveIntegerField(default=0)
    seen = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    # What was passed over, and a few of the sentences that say why.
    left_out = models.PositiveIntegerField(default=0)
    troubles = models.JSONField(default=list)

    objects = ScanQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                models.Value(1), name="one_scan_at_a_time", condition=Q(state__in=UNFINISHED)
            ),
            models.CheckConstraint(
                name="an_ended_scan_says_when",
                condition=Q(state__in=UNFINISHED, ended_at=None)
                | (~Q(state__in=UNFINISHED) & Q(ended_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"scan {self.pk} {self.state}"
