"""A backup holds everything, and a restore brings it back, or changes nothing."""

import gzip
import hashlib
import io
import os
import resource
import subprocess
import tarfile
import threading
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from events import locks
from events.models import Event
from jobs import images, inputs, lifecycle, slots
from jobs.models import Image, Input, Job
from servers import credentials
from servers.fleet import Logins
from servers.models import Server
from stablequeue_project.backup import making, restoring, schema
from stablequeue_project.backup.errors import BackupError
from stablequeue_project.secret_key import load_or_create
from tests.factories import make_claimed, make_job, make_server
from tests.project import doctored

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n picture"


def quietly(_line):
    pass


def use_folder(settings, folder):
    """Be the installation whose data folder this is."""
    settings.DATA_DIR = folder
    settings.OUTPUTS_DIR = folder / "outputs"
    settings.INPUTS_DIR = folder / "inputs"
    settings.SECRET_KEY = load_or_create(folder)


def start_anew(settings, folder):
    """Be an installation that nobody has used yet."""
    call_command("flush", interactive=False, verbosity=0)
    use_folder(settings, folder)


@pytest.fixture
def home(settings, tmp_path):
    """The folder of an installation, in a place that has spaces in its name."""
    folder = tmp_path / "my data" / "stable queue"
    use_folder(settings, folder)
    return folder


def make_picture(content=PNG):
    """A job that is done, with one picture, and one input."""
    job, lease = make_claimed(make_job(description="tabs\tand\nlines, \\N and ü"))
    slots.mark_sent(lease)
    slots.free(lease)
    staged = images.stage(job_id=job.id, attempt=job.attempt, pictures=[content], seeds=[7])
    lifecycle.complete(job=job, attempt=job.attempt, pictures=staged, result={"images": []})
    sha256 = hashlib.sha256(content).hexdigest()
    inputs.path_of(sha256).parent.mkdir(parents=True, exist_ok=True)
    inputs.path_of(sha256).write_bytes(content)
    Input.objects.get_or_create(sha256=sha256, bytes=len(content), content_type="image/png")
    job.inputs.add(Input.objects.get(sha256=sha256))
    return job


def backed_up():
    out = io.BytesIO()
    making.make(out, quietly)
    return out


def restored(archive, *, force=False):
    return restoring.restore(archive, force=force, tell=quietly)


def refused(archive, **options):
    with pytest.raises(BackupError) as refusal:
        restored(archive, **options)
    return refusal.value.code


def all_rows():
    """Every row of every table, but those that say what was done to the tables."""
    found = {}
    with connection.cursor() as cursor:
        for table in schema.tables():
            cursor.execute(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')
            found[table] = cursor.fetchall()
    return found


# --- there and back --------------------------------------------------------------------


def test_all_rows_and_files_and_the_key_come_back_in_another_place(settings, home, tmp_path):
    job = make_picture()
    make_server("Safe", logins=Logins("me", "open sesame"))
    archive, before = backed_up(), all_rows()

    start_anew(settings, tmp_path / "elsewhere")
    restored(archive)

    assert all_rows() == before
    [image] = Image.objects.all()
    assert images.path_of(image.name).read_bytes() == PNG
    assert inputs.path_of(job.inputs.get().sha256).read_bytes() == PNG
    settings.SECRET_KEY = load_or_create(tmp_path / "elsewhere")
    assert credentials.unseal(Server.objects.get(alias="Safe").password_sealed) == "open sesame"


def test_after_a_restore_new_rows_have_new_numbers(settings, home, tmp_path):
    make_picture()
    archive, last = backed_up(), Event.objects.latest("id").id
    make_picture(PNG + b"!")
    seen = Event.objects.latest("id").id

    start_anew(settings, tmp_path / "elsewhere")
    restored(archive)
    make_picture(PNG + b"?")

    assert Event.objects.filter(id__gt=last).earliest("id").id > seen
    assert Image.objects.count() == 2


def test_an_empty_installation_comes_back_too(settings, home, tmp_path):
    archive = backed_up()

    start_anew(settings, tmp_path / "elsewhere")

    assert restored(archive).jobs == 0


def test_rows_and_files_are_of_one_moment_while_others_go_on(home, tmp_path, settings):
    make_picture()
    before, out = all_rows(), io.BytesIO()

    def tell(line):
        if line.startswith("database"):
            # The snapshot stands, and not all of it has been written.
            in_another_session(lambda: make_picture(PNG + b" of later"))

    made = making.make(out, tell)

    assert (made.jobs, made.files, made.missing) == (1, 2, 0)
    start_anew(settings, tmp_path / "elsewhere")
    restored(out)
    assert all_rows() == before


def test_a_picture_that_is_deleted_meanwhile_is_listed_as_missing(settings, home, tmp_path):
    job, kept = make_picture(), make_picture(PNG + b"!")
    name = job.images.get().name
    images.path_of(name).unlink()

    out = io.BytesIO()
    made = making.make(out, quietly)

    assert made.missing == 1
    assert f"# missing: pictures/{name}\n" in sums_in(out)
    start_anew(settings, tmp_path / "elsewhere")
    assert restored(out).missing == 1
    assert images.path_of(kept.images.get().name).exists()


def sums_in(archive):
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        return "".join(
            file.read().decode()
            for member in tar
            if member.name.startswith("SHA256SUMS") and (file := tar.extractfile(member))
        )


def test_ordinary_programs_can_unpack_and_check_it(home, tmp_path):
    make_picture()
    (tmp_path / "all.tar").write_bytes(backed_up().getvalue())

    unpack = "tar -xf ../all.tar && cat SHA256SUMS.* | sha256sum --check --strict --quiet"
    (tmp_path / "unpacked").mkdir()
    outcome = subprocess.run(["sh", "-c", unpack], cwd=tmp_path / "unpacked", capture_output=True)

    assert (outcome.returncode, outcome.stderr) == (0, b"")


# --- what a restore refuses ------------------------------------------------------------


def test_an_installation_in_use_is_replaced_only_by_force(settings, home):
    job = make_picture()
    archive, before = backed_up(), all_rows()
    make_picture(PNG + b"!")

    assert refused(archive) == "NOT_EMPTY"
    assert Job.objects.count() == 2

    restored(archive, force=True)
    assert all_rows() == before
    assert Job.objects.get() == job


def test_a_folder_with_pictures_is_not_empty(settings, home, tmp_path):
    archive = backed_up()
    start_anew(settings, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "outputs").mkdir()
    (tmp_path / "elsewhere" / "outputs" / "mine.png").write_bytes(PNG)

    assert refused(archive) == "NOT_EMPTY"
    restored(archive, force=True)
    assert (tmp_path / "elsewhere" / "outputs" / "mine.png").exists()


def test_while_it_runs_nothing_is_put_back(settings, home):
    settings.PROCESS_GONE_AFTER = 0
    archive = backed_up()

    with elsewhere(lambda: take(locks.DISPATCHER)):
        assert refused(archive) == "STABLEQUEUE_RUNS"


def test_two_at_once_take_no_turns(home):
    with elsewhere(lambda: take(locks.BACKUP)), pytest.raises(BackupError) as refusal:
        backed_up()

    assert refusal.value.code == "BACKUP_UNDER_WAY"


def test_a_key_that_is_a_setting_is_not_replaced(settings, home, tmp_path):
    archive = backed_up()
    start_anew(settings, tmp_path / "elsewhere")
    settings.SECRET_KEY = "from the environment, and not from the file in the folder"

    assert refused(archive) == "KEY_IS_SET_ELSEWHERE"


def test_a_failure_in_the_middle_leaves_the_database_as_it_was(settings, home, monkeypatch):
    make_picture()
    archive = backed_up()
    make_picture(PNG + b"!")
    before, key = all_rows(), settings.SECRET_KEY

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "sync", full)
    with pytest.raises(OSError, match="No space"):
        restored(archive, force=True)

    assert all_rows() == before
    assert load_or_create(home) == key


# --- what is in an archive -------------------------------------------------------------


def test_rows_of_an_older_version_become_rows_of_this_one(settings, home, tmp_path):
    now = schema.applied()
    before_batches = [name for name in now if name[0] != "jobs"] + [("jobs", "0001_initial")]
    try:
        with transaction.atomic():
            schema.make_anew(before_batches)
        with connection.cursor() as cursor:
            cursor.execute(OLD_ROWS)
        archive = backed_up()
        restored(archive, force=True)
    finally:
        call_command("migrate", verbosity=0)

    assert schema.applied() == now
    assert Job.objects.get().batch is None


OLD_ROWS = """
    INSERT INTO servers_server (id, alias, alias_key, scheme, host, port, description, username,
        password_sealed, api_username, api_password_sealed, queue_name, health, health_reason,
        is_paused, pinned_options, created_at, updated_at)
    VALUES (5, 'Old', 'old', 'http', '10.0.0.1', 7860, '', '', '', '', '', 'forge.5-old',
        'unknown', '', false, '[]', now(), now());
    INSERT INTO jobs_job (id, status, kind, parameters, seed, target_alias, source_info, attempt,
        retry_count, task_id, beat, errors, server_id)
    VALUES (gen_random_uuid(), 'pending', 'txt2img', '{}', 1, 'Old', '', 0, 0, '', 0, '[]', 5)
"""


def test_every_table_of_ours_is_in_a_backup():
    with connection.cursor() as cursor:
        existing = set(connection.introspection.table_names(cursor))

    assert existing - schema.tables().keys() == {"django_migrations"}


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("jobs_image", b"_00000-7.png", b"/../../../etc/passwd"),
        ("jobs_image", b"_00000-7.png", b"_\\n.png"),
        ("jobs_input", hashlib.sha256(PNG).hexdigest().encode(), b"../../../etc/passwd"),
        ("jobs_job", b"completed", b"finished"),
        ("jobs_job", b"\t1\t", b"\tone\t"),
        ("servers_server", b"\t127.0.0.1\t", b"\t"),
    ],
)
def test_rows_that_mean_harm_or_nonsense_change_nothing(home, table, old, new):
    make_picture()
    archive, before = doctored.with_rows(backed_up(), table, old, new), all_rows()

    assert refused(archive, force=True) == "ARCHIVE_DAMAGED"

    assert all_rows() == before


def test_rows_that_unpack_to_more_than_they_may_change_nothing(home):
    make_picture()
    bomb = gzip.compress(b"\0" * 50_000_000)
    archive = doctored.rewritten(
        backed_up(), lambda name, content: bomb if "jobs_image" in name else content
    )

    with pytest.raises(BackupError, match="larger than it may be"):
        restored(archive, force=True)
    assert Image.objects.count() == 1


def test_tables_that_are_not_ours_are_not_filled(home):
    tables = {**schema.tables(), "pg_authid": ["rolname", "rolsuper"]}

    archive = doctored.with_head(backed_up(), tables=tables)

    assert refused(archive, force=True) == "ARCHIVE_DAMAGED"


# --- the command -----------------------------------------------------------------------


def test_the_file_is_its_owners_alone_and_replaces_the_one_of_yesterday(home, tmp_path, capsys):
    target = tmp_path / "my backups" / "night.tar"
    target.parent.mkdir()
    target.write_bytes(b"yesterday")

    call_command("backup", str(target))

    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["night.tar"]
    assert f"is complete: {target}" in capsys.readouterr().err
    assert restored(io.BytesIO(target.read_bytes()), force=True)


def test_a_folder_gets_a_file_named_after_the_time(home, tmp_path):
    (tmp_path / "backups").mkdir()

    call_command("backup", str(tmp_path / "backups"))

    [made] = (tmp_path / "backups").iterdir()
    assert made.match("stablequeue-????-??-??-??????.tar")


@contextmanager
def disk_of(size):
    """As if there were room for `size` bytes in any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_yesterdays_backup_and_nothing_half_written(home, tmp_path, capsys):
    make_picture(PNG + os.urandom(400_000))
    target = tmp_path / "night.tar"
    target.write_bytes(b"yesterday")

    with disk_of(300_000), pytest.raises(SystemExit) as end:
        call_command("backup", str(target))

    assert end.value.code == 1
    assert target.read_bytes() == b"yesterday"
    assert not list(tmp_path.glob(".night*"))
    assert "File too large" in capsys.readouterr().err


def test_what_is_no_backup_is_refused_with_a_sentence(home, tmp_path, capsys):
    (tmp_path / "holiday.jpg").write_bytes(PNG * 100)

    with pytest.raises(SystemExit):
        call_command("restore", str(tmp_path / "holiday.jpg"))

    assert "This is no intact backup" in capsys.readouterr().err


# --- another session -------------------------------------------------------------------


@contextmanager
def elsewhere(work):
    """Do `work` on a connection of its own, which lives while the block does."""
    done, leave = threading.Event(), threading.Event()

    def be_there():
        work()
        done.set()
        leave.wait()
        # Back in the pool it would keep its locks.
        connection.connection.close()
        connection.close()

    thread = threading.Thread(target=be_there)
    thread.start()
    done.wait()
    try:
        yield
    finally:
        leave.set()
        thread.join()


def in_another_session(work):
    with elsewhere(work):
        pass


def take(lock):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [lock])
