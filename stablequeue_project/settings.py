"""Every setting, read from the environment once.

All variables are listed in `.env.example`. A value that cannot be understood stops
the start with one sentence; nothing else in the code reads the environment.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, validate

from stablequeue_project.secret_key import load_or_create

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(str(BASE_DIR / ".env"), recurse=False)


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
_database["OPTIONS"] = {
    **_database.get("OPTIONS", {}),
    "connect_timeout": 5,
    # A vanished peer is noticed in about 10 s, so its locks are freed (design.md section 2).
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "pool": {
        "min_size": 1,
        "max_size": _read("int", "STABLEQUEUE_DATABASE_POOL", 20, validate=validate.Range(2, 500)),
        "timeout": 10,
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

# --- Django --------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "events",
    "apikeys",
    "servers",
    "models_catalog",
    "jobs",
    "stablequeue_project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True

# Cookies ignore ports, and other Django apps live on the same host.
SESSION_COOKIE_NAME = "stablequeue_session"
CSRF_COOKIE_NAME = "stablequeue_csrf"

# --- REST ----------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": 0,
}

# --- StableQueue ---------------------------------------------------------------------

TIME_SCALE = _read("float", "STABLEQUEUE_TIME_SCALE", 1.0, validate=validate.Range(0.001, 10))
"""Test-only factor on every timing below: 0.1 makes them ten times shorter."""

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
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
}
