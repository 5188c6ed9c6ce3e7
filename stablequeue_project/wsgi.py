"""The WSGI entry point of the web process."""

import os

from django.core.wsgi import get_wsgi_application

from apikeys.usage import usage
from stablequeue_project import patience

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stablequeue_project.settings")

application = get_wsgi_application()
patience.limit_statements()
usage.start()
