"""Django settings. Every choice of an operator comes from `resilience_site.config`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import dj_database_url
import plotly
from csp.constants import SELF

from resilience_site.config import config
from resilience_site.core import taskqueue
from resilience_site.schedule import BEAT_SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(config.resilience_state_dir)

DEBUG = False
SECRET_KEY = config.secret_key
ALLOWED_HOSTS = config.resilience_allowed_hosts
CSRF_TRUSTED_ORIGINS = config.resilience_csrf_origins

INSTALLED_APPS = [
    "resilience_site.core",
    "resilience_site.live",
    "resilience_site.pages",
    "resilience_site.embedded",
    "health",
    "breakers",
    "analytics",
    "alerting",
    "healing",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "heroicons",
    "ninja",
    "template_partials",
]

MIDDLEWARE = [
    "resilience_site.core.middleware.problem_middleware",
    "resilience_site.core.middleware.address_middleware",
    "django.middleware.security.SecurityMiddleware",
    "resilience_site.staticfiles.StaticFilesMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "resilience_site.urls"
ASGI_APPLICATION = "resilience_site.asgi.application"
# A redirect would turn a POST into a GET; the API and OTLP paths never redirect.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "resilience_site.pages.context.site_context",
            ],
        },
    }
]

# --- Store ------------------------------------------------------------------------------------

_POOL = {"min_size": 0, "max_size": 16, "timeout": 5, "max_idle": 60}
_ENGINE = "django.db.backends.postgresql"
# Commands that need no database run without one, `up` among them, which starts it; the others
# fail with a sentence that names this folder, where no engine can be.
_DATABASE: dict[str, Any] = (
    {**dj_database_url.parse(config.database_url, engine=_ENGINE)}
    if config.database_url
    else {"ENGINE": _ENGINE, "NAME": "resilience", "HOST": str(STATE_DIR / "no-engine-is-running")}
)
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **_DATABASE,
        "CONN_MAX_AGE": 0,
        # The URL's own options hold the folder of a socket, among others.
        "OPTIONS": {
            "application_name": "resilience-site",
            **_DATABASE.get("OPTIONS", {}),
            "pool": _POOL,
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": config.redis_url,
    }
}

# The core layer of channels-redis 4.3 kills an idle receive() with redis-py 8 and drops messages
# over capacity; the pub/sub layer does neither.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [config.redis_url], "prefix": "live"},
    }
}

# --- Background work --------------------------------------------------------------------------

_BROKER = config.celery_broker_url or config.redis_url
# Celery has a name and a query of its own for the socket of a Redis.
CELERY_BROKER_URL = _BROKER.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ROUTES = {
    # Whether healing stands still is not for the worker to say that heals.
    "healing.tasks.runs_audit": {"queue": taskqueue.QUEUE},
    "healing.tasks.*": {"queue": taskqueue.HEALING},
    # What is slow and can wait is not to stand before what tells people.
    "alerting.tasks.reports_make": {"queue": taskqueue.QUEUE},
    "alerting.tasks.alerts_prune": {"queue": taskqueue.QUEUE},
    "alerting.tasks.deliveries_prune": {"queue": taskqueue.QUEUE},
    "alerting.tasks.history_prune": {"queue": taskqueue.QUEUE},
    "alerting.tasks.*": {"queue": taskqueue.ALERTING},
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE
CELERY_RESULT_EXPIRES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- People -----------------------------------------------------------------------------------

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
# Two sites on one host share its cookies, whatever their ports.
_COOKIE_SUFFIX = hashlib.sha256(SECRET_KEY.encode()).hexdigest()[:8]
SESSION_COOKIE_NAME = f"rcp_session_{_COOKIE_SUFFIX}"
CSRF_COOKIE_NAME = f"rcp_csrf_{_COOKIE_SUFFIX}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = config.resilience_https
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if config.resilience_https else None
X_FRAME_OPTIONS = "DENY"

# Plotly adds one empty style sheet and fills it by script: the hash is that of the empty string.
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF, _EMPTY_STYLE],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": ["'none'"],
        "base-uri": [SELF],
        "object-src": ["'none'"],
    }
}

# --- Language, time, static -------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "resilience_site" / "static",
    ("plotly", Path(plotly.__file__).parent / "package_data"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "resilience_site.staticfiles.ModuleManifestStorage"},
}

NINJA_PAGINATION_PER_PAGE = 50

# --- Logs -------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django.server": {"propagate": True},
        # Every refused key of a misconfigured exporter would be a line otherwise.
        "django.request": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
    },
}
