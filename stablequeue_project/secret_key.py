"""The installation's secret key: made once, kept in the data folder, never in the database.

It signs cookies and opens the Forge passwords kept in the database.
"""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from stablequeue_project import secret_files

FILE_NAME = "secret.key"


def load_or_create(data_dir: Path) -> str:
    """Return the key in `data_dir`, making it (and the folder) if there is none.

    Raises ImproperlyConfigured when the folder cannot be written or the key is damaged.
    """
    try:
        return secret_files.load_or_create(data_dir / FILE_NAME)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {data_dir} cannot be used ({error.strerror}). "
            "Make it writable, or name another with STABLEQUEUE_DATA."
        ) from error
    except secret_files.SecretDamaged as error:
        raise ImproperlyConfigured(
            f"{error} Without it the stored Forge passwords cannot be read."
        ) from error
