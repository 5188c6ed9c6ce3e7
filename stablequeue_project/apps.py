from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Makes the project's own management commands known to Django."""

    name = "stablequeue_project"
