"""A Forge we may send jobs to, as a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Self, cast

from django.conf import settings
from django.db import models
from django.db.models import Q

from servers.address import DEFAULT_PORT, Address, Scheme, refusal_of_peer
from servers.aliases import MAX_KEY_LENGTH, MAX_LENGTH, alias_key
from servers.credentials import SealBroken, unseal
from servers.forge import Credentials, ForgeClient, ForgeUnauthorized, Timing
from servers.forge_session import ForgeSession
from servers.forge_ways import Forge, Way


class Health(models.TextChoices):
    """How the last look at a server ended."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"
    NOT_READY = "not_ready"


class Protocol(models.TextChoices):
    """How a server is to be talked to: over its API, over its page, or as it was started."""

    AUTO = "auto"
    API = "api"
    SESSION = "session"


class Drain(models.TextChoices):
    """How far a server is that is to take no more jobs until somebody resumes it."""

    DRAINING = "draining"
    DRAINED = "drained"


def _patience() -> Timing:
    return replace(
        Timing().scaled(settings.TIME_SCALE),
        stall=settings.STALL_AFTER,
        stall_loading=2 * settings.STALL_AFTER,
    )


class ServerQuerySet(models.QuerySet["Server"]):
    def active(self) -> Self:
        """All but the retired ones."""
        return self.filter(retired_at=None)

    def by_alias(self, alias: str) -> Self:
        """Those of that name, ignoring letter case."""
        return self.filter(alias_key=alias_key(alias))

    def to_probe(self, *, checked_before: datetime) -> Self:
        """Active ones of which nothing is known, or nothing since that moment."""
        return self.active().filter(
            Q(health=Health.UNKNOWN) | Q(checked_at=None) | Q(checked_at__lt=checked_before)
        )


class Server(models.Model):
    """One Forge. Written by the verbs in `servers.fleet` only.

    A retired server keeps its row: jobs refer to it, and adding its alias again revives it.
    """

    alias = models.CharField(max_length=MAX_LENGTH)
    # Folded here and not in the database, whose idea of letter case depends on its locale.
    alias_key = models.CharField(max_length=MAX_KEY_LENGTH, editable=False)
    scheme = models.CharField(max_length=5, default="http")
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=DEFAULT_PORT)
    description = models.CharField(max_length=500, blank=True)

    username = models.CharField(max_length=128, blank=True)
    password_sealed = models.TextField(blank=True)
    # Where --api-auth differs from the page's login.
    api_username = models.CharField(max_length=128, blank=True)
    api_password_sealed = models.TextField(blank=True)

    # Made once: a rename must not move the messages of a server to another queue.
    queue_name = models.CharField(max_length=128, unique=True, editable=False)

    health = models.CharField(max_length=16, choices=Health.choices, default=Health.UNKNOWN)
    health_reason = models.CharField(max_length=500, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    # Whether its Forge keeps a copy of each picture, from which a lost answer is made good.
    keeps_copies = models.BooleanField(default=True, db_default=True)

    protocol = models.CharField(
        max_length=8, choices=Protocol.choices, default=Protocol.AUTO, db_default="auto"
    )
    # What the last look that succeeded found, see servers.probing.
    capabilities = models.JSONField(default=dict, db_default={}, blank=True)
    capabilities_at = models.DateTimeField(null=True, blank=True)

    is_paused = models.BooleanField(default=False)
    # A paused server that somebody waits for to be idle, or that is by now.
    drain = models.CharField(
        max_length=8, choices=Drain.choices, blank=True, default="", db_default=""
    )

    # See servers.quiet_hours. Resting is what has a `quiet_until`.
    quiet_hours = models.JSONField(default=list, db_default=[], blank=True)
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    quiet_until = models.DateTimeField(null=True, blank=True, editable=False)

    # Failures and holds in a row, see servers.breaker. Held is what has a `held_until`.
    failures = models.PositiveIntegerField(default=0, db_default=0)
    holds = models.PositiveIntegerField(default=0, db_default=0)
    held_until = models.DateTimeField(null=True, blank=True)
    held_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    # See servers.speed.
    speed = models.FloatField(
        null=True,
        blank=True,
        editable=False,
        help_text="Steps times pixels a second, learned from what it drew.",
    )
    load_seconds = models.FloatField(
        null=True,
        blank=True,
        editable=False,
        help_text="Seconds to load a checkpoint, learned from what it drew.",
    )

    retired_at = models.DateTimeField(null=True, blank=True)
    # Settings our payloads may override, since that Forge is known to restore them.
    pinned_options = models.JSONField(default=list, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ServerQuerySet.as_manager()

    class Meta:
        ordering = ["alias_key", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["alias_key"], condition=Q(retired_at=None), name="server_alias_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.alias

    @property
    def address(self) -> str:
        """The base URL of that Forge."""
        return Address(cast(Scheme, self.scheme), self.host, self.port).url

    @property
    def way(self) -> Way:
        """How it is talked to: as a person chose, or as it was last seen to be started."""
        chosen = self.capabilities.get("way") if self.protocol == Protocol.AUTO else self.protocol
        return "session" if chosen == "session" else "api"

    def client(self, timing: Timing | None = None) -> Forge:
        """Return a client of that Forge, patient as `timing` says.

        Raises ForgeUnauthorized when a stored password cannot be read any more.
        """
        if self.way == "session":
            return self.page_client(timing)
        return self.api_client(timing)

    def api_client(self, timing: Timing | None = None) -> ForgeClient:
        """A client of its API, see `client`."""
        return ForgeClient(
            self.address,
            credentials=self._api_login(),
            page_credentials=self._login(),
            timing=timing or _patience(),
            guard=_guard,
        )

    def page_client(self, timing: Timing | None = None) -> ForgeSession:
        """A client of its page, see `client`."""
        return ForgeSession(
            self.address,
            page_credentials=self._login(),
            timing=timing or _patience(),
            guard=_guard,
        )

    def _login(self) -> Credentials | None:
        """The page's."""
        return self._credentials(self.username, self.password_sealed)

    def _api_login(self) -> Credentials | None:
        """The API's: its own if there is one, else the page's."""
        own = self._credentials(self.api_username, self.api_password_sealed)
        return own or self._login()

    def _credentials(self, username: str, sealed: str) -> Credentials | None:
        try:
            return Credentials(username, unseal(sealed)) if username or sealed else None
        except SealBroken as error:
            raise ForgeUnauthorized(
                f"The stored password for {self.address} cannot be read, because this "
                "installation's secret key is another one now. Enter the password again."
            ) from error


def _guard(ours: str, theirs: str, port: int) -> str | None:
    """Refuse a peer that is one of our own services."""
    return refusal_of_peer(ours, theirs, port, own_services=settings.OWN_SERVICES)
