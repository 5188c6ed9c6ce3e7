"""Every setting, read from the environment once.

All variables are listed in `.env.example`. A value that cannot be understood stops
the start with one sentence; nothing else in the code reads the environment.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, validate

from apikeys.origins import Origin
from apikeys.rates import HEADERS, Rate
from jobs import byte_sizes, failpoints
from stablequeue_project import secret_files
from stablequeue_project.secret_key import load_or_create

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(env.str("STABLEQUEUE_ENV_FILE", "") or str(BASE_DIR / ".env"), recurse=False)


def _read(kind: str, name: str, *args: Any, **options: Any) -> Any:
    """Read one variable with environs, turning its complaint into a start-up error."""
    try:
        return getattr(env, kind)(name, *args, **options)
    except (EnvError, ValueError) as error:
        raise ImproperlyConfigured(f"{name}: {error} See .env.example.") from error


def _folder(name: str, default: Path) -> Path:
    return Path(_read("str", name, str(default))).expanduser().resolve()


# --- where things are kept -----------------------------------------------------------

DATA_DIR = _folder("STABLEQUEUE_DATA", BASE_DIR / "data")
OUTPUTS_DIR = _folder("STABLEQUEUE_OUTPUTS", DATA_DIR / "outputs")
INPUTS_DIR = _folder("STABLEQUEUE_INPUTS", DATA_DIR / "inputs")


def _folders(name: str) -> list[Path]:
    """Read several folders, with commas or colons between."""
    texts = re.split(rf"[,{os.pathsep}]", _read("str", name, ""))
    named = [Path(text.strip()).expanduser() for text in texts if text.strip()]
    for folder in named:
        if not folder.is_absolute():
            raise ImproperlyConfigured(f"{name}: {folder} must begin with /. See .env.example.")
    return list(dict.fromkeys(named))


CHECKPOINT_DIRS = _folders("STABLEQUEUE_CHECKPOINT_DIRS")
LORA_DIRS = _folders("STABLEQUEUE_LORA_DIRS")

SECRETS_DIR = _read("str", "STABLEQUEUE_SECRETS", "")
"""Where the engines' and Flower's passwords lie, each in a file; empty where there are none."""


def _secret(name: str) -> str:
    """Return a password from the secrets folder, or nothing if there is no such folder."""
    if not SECRETS_DIR:
        return ""
    try:
        return secret_files.load(Path(SECRETS_DIR) / name)
    except (OSError, secret_files.SecretDamaged) as error:
        raise ImproperlyConfigured(f"STABLEQUEUE_SECRETS: {error} See .env.example.") from error


SECRET_KEY = _read("str", "STABLEQUEUE_SECRET_KEY", "") or load_or_create(DATA_DIR)
DEBUG = _read("bool", "STABLEQUEUE_DEBUG", False)

_database = _read("dj_db_url", "DATABASE_URL") if _read("str", "DATABASE_URL", "") else {}
if _database.get("ENGINE") != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "DATABASE_URL must name a PostgreSQL database, like "
        "postgres://user:password@host:5432/stablequeue. "
        "'./stablequeue up' starts one and sets it, './stablequeue test' runs the tests on "
        "one of their own. See .env.example."
    )
_database["PASSWORD"] = _database.get("PASSWORD") or _secret(secret_files.POSTGRES_PASSWORD)
_database["OPTIONS"] = {
    **_database.get("OPTIONS", {}),
    "connect_timeout": 5,
    # A vanished peer is noticed in about 10 s, so its locks are freed (design.md section 2).
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "options": " ".join(
        [
            _database.get("OPTIONS", {}).get("options", ""),
            # A process that is frozen in the middle of a transaction must not keep its locks:
            # that of the event log is one that everybody needs.
            "-c idle_in_transaction_session_timeout=30s",
        ]
    ).strip(),
    "pool": {
        "min_size": 1,
        "max_size": _read("int", "STABLEQUEUE_DATABASE_POOL", 20, validate=validate.Range(2, 500)),
        # Seconds until a request is answered that the database is away.
        "timeout": 4,
        # It tries again at growing intervals, and from the shortest one after these seconds:
        # a database that comes back is noticed soon, however long it was away.
        "reconnect_timeout": 5,
    },
}
_database["CONN_HEALTH_CHECKS"] = True
DATABASES = {"default": _database}

REDIS_URL = _read("str", "REDIS_URL", "")
if not re.match(r"^rediss?://", REDIS_URL):
    raise ImproperlyConfigured(
        "REDIS_URL must look like redis://:password@host:6379/0. "
        "'./stablequeue up' starts a Redis and sets it. See .env.example."
    )

_redis = urlsplit(REDIS_URL)
if not _redis.password and (_password := _secret(secret_files.REDIS_PASSWORD)):
    _user, _, _host = _redis.netloc.rpartition("@")
    REDIS_URL = _redis._replace(netloc=f"{_user.rstrip(':')}:{_password}@{_host}").geturl()
IN_CONTAINER = Path("/.dockerenv").exists()
# Addresses that are never a Forge, as (host, port): nobody may make us talk to them.
OWN_SERVICES = [
    (_database.get("HOST") or "localhost", int(_database.get("PORT") or 5432)),
    (_redis.hostname or "localhost", _redis.port or 6379),
]

# --- Django --------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    # Only for its static files; the document itself is made by a command.
    "drf_spectacular_sidecar",
    "events",
    "apikeys",
    "servers",
    "models_catalog",
    "webhooks",
    "jobs",
    "stablequeue_project",
]

MIDDLEWARE = [
    "stablequeue_project.guards.HostGuard",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "stablequeue_project.response_headers.SecurityHeaders",
    "stablequeue_project.guards.OriginGuard",
    "stablequeue_project.response_headers.KeyHolderCors",
    "stablequeue_project.guards.BodyCap",
    "stablequeue_project.guards.JsonOnly",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "stablequeue_project.login_middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    # For the forms of /admin and the login page; the REST views are exempt and have guards.
    "django.middleware.csrf.CsrfViewMiddleware",
    "stablequeue_project.login_middleware.Users",
    "stablequeue_project.login_middleware.Messages",
]

ROOT_URLCONF = "stablequeue_project.urls"
WSGI_APPLICATION = "stablequeue_project.wsgi.application"
# The Host guard in front of everything decides; Django's own list cannot say "any IP address".
ALLOWED_HOSTS = ["*"]
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "/static/"
# Files are served from where the apps keep them; nothing has to be collected first.
WHITENOISE_USE_FINDERS = True

# Cookies ignore ports, and other Django apps live on the same host.
SESSION_COOKIE_NAME = "stablequeue_session"
CSRF_COOKIE_NAME = "stablequeue_csrf"

# --- REST ----------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["stablequeue_project.api.json_parser.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["apikeys.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.permissions.RouteAccess"],
    "DEFAULT_THROTTLE_CLASSES": ["apikeys.throttling.KeyRate"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "stablequeue_project.api.negotiation.OneForm",
    "DEFAULT_SCHEMA_CLASS": "stablequeue_project.api.reference.schema.DescribedSchema",
    "EXCEPTION_HANDLER": "stablequeue_project.api.exception_handler.handle",
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": 0,
}

SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "StableQueue",
    "DESCRIPTION": "Queues image jobs for Stable Diffusion WebUI Forge, and never loses one.",
    "VERSION": "1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": ["stablequeue_project.api.reference.document.of_the_api"],
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATIONS": False,
    "DISABLE_ERRORS_AND_WARNINGS": False,
}

# --- who may call: guards, origins, key headers ----------------------------------------


def _words(name: str, default: str = "") -> list[str]:
    """Read words between commas; spaces around them don't count."""
    return [word.strip() for word in _read("str", name, default).split(",") if word.strip()]


def _origins(name: str, default: str = "") -> list[str]:
    origins = []
    for word in _words(name, default):
        origin = Origin.parse(word)
        if origin is None:
            raise ImproperlyConfigured(
                f"{name}: {word!r} is no origin like http://localhost:7860 "
                "(scheme, host and port, no path). See .env.example."
            )
        origins.append(str(origin))
    return origins


ALLOWED_EXTRA_HOSTS = [host.lower() for host in _words("STABLEQUEUE_HOSTS")]
"""Host names of ours beside those of a home network; `.example.com` means all below it."""

OWN_ORIGINS = _origins("STABLEQUEUE_ORIGINS")
"""Where browsers see our pages when a reverse proxy stands between."""
CSRF_TRUSTED_ORIGINS = OWN_ORIGINS

CORS_ALLOWED_ORIGINS = _origins(
    "STABLEQUEUE_CORS_ORIGINS",
    "http://localhost:7860,http://localhost:8080,http://localhost:3000",
)
"""Pages that may call application routes with a key of their own, and show pictures."""
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "idempotency-key", "last-event-id"),
    *("x-api-key", "x-api-secret"),
]
CORS_EXPOSE_HEADERS = [*HEADERS, "Retry-After", "Idempotent-Replay"]


def _rate(name: str, default: str) -> Rate | None:
    try:
        return Rate.parse(_read("str", name, default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error} See .env.example.") from error


RATE_LIMIT = _rate("STABLEQUEUE_RATE_LIMIT", "60/m")
"""For keys without one of their own; None is no limit."""
RATELIMIT_USE_CACHE = "rate_limit"

# SecurityHeaders sends it where browsers heed it.
SECURE_CROSS_ORIGIN_OPENER_POLICY = None

MAX_BODY_BYTES = 32 * 1024 * 1024
# The body cap in front decides; Django's own limit would answer without the envelope.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# No cookie of its own, and no text left behind in one.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- StableQueue ---------------------------------------------------------------------

TIME_SCALE = _read("float", "STABLEQUEUE_TIME_SCALE", 1.0, validate=validate.Range(0.001, 10))
"""Test-only factor on every timing below: 0.1 makes them ten times shorter."""


def _failpoints() -> failpoints.Plan | None:
    text = _read("str", "STABLEQUEUE_FAILPOINT", "")
    if not text:
        return None
    if not (DEBUG or _read("bool", "STABLEQUEUE_TEST", False)):
        raise ImproperlyConfigured(
            "STABLEQUEUE_FAILPOINT makes processes fail on purpose and is for tests only: "
            "it needs STABLEQUEUE_TEST=true. See .env.example."
        )
    try:
        return failpoints.Plan.parse(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"STABLEQUEUE_FAILPOINT: {error} See .env.example.") from error


FAILPOINTS = _failpoints()


def _bytes(name: str, default: str) -> int:
    try:
        return byte_sizes.parse(_read("str", name, default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error} See .env.example.") from error


MIN_FREE = _bytes("STABLEQUEUE_MIN_FREE", "1GiB")
"""Bytes that must be free on the disks of pictures and inputs for anything to be admitted."""

OVERTAKE_JOBS = _read("int", "STABLEQUEUE_OVERTAKE_JOBS", 50, validate=validate.Range(0, 1000))
"""Jobs that may go before their turn, one after the other, because their checkpoint is loaded."""
OVERTAKE_SECONDS = (
    _read("float", "STABLEQUEUE_OVERTAKE_SECONDS", 600.0, validate=validate.Range(0, 86_400))
    * TIME_SCALE
)
"""Seconds after which nobody is overtaken any more, counted from the first time."""

DISPATCHER_TICK = 2.0 * TIME_SCALE
"""Seconds between two looks of the dispatcher at everything, if nothing wakes it before."""
LEASE_DEAD_TICKS = 15
"""Own ticks of the dispatcher with the same beat after which a lease counts as dead."""
LEADER_DEAD_TICKS = 8
"""Own ticks of a dispatcher on standby without a beat of the leading one, until it takes over."""
RESEND_AFTER = 10.0 * TIME_SCALE
"""Seconds after which the message of an admitted job that nobody claimed is sent again."""
BROKER_REST = 4.0 * TIME_SCALE
"""Seconds for which nothing is sent after Redis did not take a message."""
TALLY_EVERY = 10.0 * TIME_SCALE
"""Seconds between two counts of what the event log holds, for GET /metrics."""
WORKER_BEAT = 2.0 * TIME_SCALE
FENCE_AFTER = 20.0 * TIME_SCALE
"""Seconds without the database after which a worker gives its generation up."""
LEAVE_WITHIN = 40.0 * TIME_SCALE
"""Seconds after its TERM in which a worker ends, or hands over, all it has begun. Whoever stops
it waits a little longer before it kills: docker-compose.yml and stack/processes.py say so."""
DATABASE_PATIENCE = 900.0 * TIME_SCALE
"""Seconds a worker tries to store a finished result."""
SAVE_PATIENCE = 24 * 3600.0 * TIME_SCALE
"""Seconds a worker tries to save finished pictures: a full disk is noticed in the morning."""
STORAGE_WAIT = 30.0 * TIME_SCALE
"""Seconds a job waits before its next try when the pictures folder cannot be written."""
IN_USE_WAIT = 10.0 * TIME_SCALE
"""Seconds a job waits that changes a setting of a Forge which somebody else uses just now."""
STALL_AFTER = (
    _read("float", "STABLEQUEUE_STALL_SECONDS", 900.0, validate=validate.Range(10, 86_400))
    * TIME_SCALE
)
"""Seconds without any progress after which a generation is given up, queueing not counted.
Before its first step, while a checkpoint may be loading, it is twice as long."""
GENERATION_CAP = 6 * 3600.0 * TIME_SCALE
"""Seconds a single generation may take."""
PROCESS_GONE_AFTER = 10.0 * TIME_SCALE
"""Seconds of silence after which a process is taken for dead by GET /status."""
DEAF_AFTER = 60.0 * TIME_SCALE
"""Seconds after which a worker ends itself that has free threads and takes no message."""
DISK_LOOK_EVERY = 10.0 * TIME_SCALE
DISK_FACTS_KEPT = max(60.0 * TIME_SCALE, 5.0)
"""Seconds after which it counts no more what was seen of a disk."""
DISK_REFUSAL_KEPT = max(10.0 * TIME_SCALE, 3.0)
"""Seconds without admissions after a worker could not write; it tries again every beat."""
THUMBNAILS_EVERY = 2.0 * TIME_SCALE
THUMBNAILS_WAIT = 600.0 * TIME_SCALE
"""Seconds until thumbnails are tried again of a picture that could not be read."""
SWEEP_EVERY = 1800.0 * TIME_SCALE
STRAY_AGE = 24 * 3600.0 * TIME_SCALE
"""Seconds after which a picture without a row is taken for a dead worker's."""
UNUSED_INPUT_AGE = 3600.0 * TIME_SCALE
EVENTS_KEPT = 30 * 24 * 3600.0 * TIME_SCALE
"""Seconds for which events are kept; those of jobs that have not ended stay."""
RETENTION_EVERY = 60.0 * TIME_SCALE
RETENTION_SPARES = 600.0 * TIME_SCALE
"""Seconds for which a picture is safe from the bound on size, so that it can be fetched."""
SCAN_LOOK_EVERY = 2.0 * TIME_SCALE
SCAN_EVERY = 6 * 3600.0 * TIME_SCALE
"""Seconds after which the model folders are looked through again, if nobody asks before."""
SCAN_DEAD_AFTER = max(60.0 * TIME_SCALE, 5.0)
"""Seconds without a word after which a scan is begun anew by another process."""
HASH_LOOK_EVERY = 5.0 * TIME_SCALE
HASH_TURN = 60.0
"""Seconds after which hashing begins no other file, and waits to be sent for again."""
MAX_STREAMS = _read("int", "STABLEQUEUE_MAX_STREAMS", 500, validate=validate.Range(1, 10_000))
"""Event streams that one web process holds open."""
STREAM_HEARTBEAT = 15.0 * TIME_SCALE
STREAM_STALL = 60.0 * TIME_SCALE
"""Seconds after which a stream is closed whose client takes nothing of what waits for it."""
STREAM_PROGRESS_EVERY = 0.5 * TIME_SCALE
WEBHOOKS_EVERY = 2.0 * TIME_SCALE
WEBHOOK_TIMEOUT = max(15.0 * TIME_SCALE, 2.0)
"""Seconds a receiver may take to answer."""
WEBHOOK_GIVE_UP = 3 * 24 * 3600.0 * TIME_SCALE
"""Seconds without a success after which a failing webhook is switched off."""
PROBE_TROUBLED_EVERY = 3.0 * TIME_SCALE
PROBE_HEALTHY_EVERY = 30.0 * TIME_SCALE
"""Seconds between two probes of a server that is away, or well."""

# --- Redis beside the broker ----------------------------------------------------------

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "stablequeue",
        "OPTIONS": {"socket_connect_timeout": 0.05, "socket_timeout": 0.05},
    },
    # In the path of every request with a key, so a Redis that is away is left alone for a while.
    "rate_limit": {
        "BACKEND": "apikeys.counters.RateLimitCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "stablequeue",
        "OPTIONS": {"patience": 0.05, "rest": 5.0 * TIME_SCALE},
    },
}

# --- Celery --------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = "chores"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
# Early ack: a message lost with its worker is the dispatcher's business, not the broker's.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A Redis that is full, or read only, for a while does not end the workers.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2.0
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2.0,
    "socket_timeout": 4.0,
    "socket_keepalive": True,
    # A worker that waits for messages on a dead connection makes a new one after twice that.
    "health_check_interval": max(1, round(25 * TIME_SCALE)),
}

# --- logging -------------------------------------------------------------------------

LOG_LEVEL = _read(
    "str",
    "STABLEQUEUE_LOG_LEVEL",
    "INFO",
    validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]),
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {
        "surprises": {
            "()": "django.utils.log.CallbackFilter",
            # A part that is away is said once, by whoever notices it, not by every request.
            "callback": lambda record: getattr(record, "status_code", 500) != 503,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"filters": ["surprises"]},
        # What a task did is told by the lifecycle, in its own words.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.worker.request": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.consumer": {"level": "WARNING"},
        "psycopg.pool": {"level": "ERROR"},
    },
}
