"""What the verbs of a job's life can refuse. They know a code and a sentence, nothing of HTTP.

JobError
├─ JobNotFound          no job has this id
├─ JobOperationInvalid  the job's status does not allow the verb
├─ JobsApart            two jobs have no order, as they wait for different servers
├─ TooManyWaiting       the key has as many jobs waiting as it may
├─ BatchNotFound        no batch has this id
├─ ImageNotFound        no picture has this name
├─ InputInvalid         a picture sent by the client cannot be used
└─ InputsUnwritable     a picture sent by the client cannot be kept just now
"""

from __future__ import annotations


class JobError(Exception):
    """Base of all refusals. `str(error)` is a sentence for a person."""

    code = "JOB_ERROR"


class JobNotFound(JobError):
    code = "JOB_NOT_FOUND"

    def __init__(self, job_id: object) -> None:
        super().__init__(f"There is no job {str(job_id)[:64]!r}.")


class JobOperationInvalid(JobError):
    code = "JOB_OPERATION_INVALID"

    def __init__(self, verb: str, status: str) -> None:
        super().__init__(f"A job that is {status} cannot be {verb}.")


class JobsApart(JobError):
    code = "JOBS_APART"

    def __init__(self) -> None:
        super().__init__(
            "The two jobs wait for different servers, so that neither goes before the other."
        )


class TooManyWaiting(JobError):
    """The key's limit of waiting jobs is reached."""

    code = "TOO_MANY_WAITING"

    def __init__(self, limit: int, waiting: int) -> None:
        super().__init__(
            f"This API key may have {limit:,} jobs waiting and has {waiting:,}; nothing was "
            "stored. Send the request again when some have been drawn, cancel some, or raise "
            "max_waiting of the key."
        )


class BatchNotFound(JobError):
    code = "BATCH_NOT_FOUND"

    def __init__(self, batch_id: object) -> None:
        super().__init__(f"There is no batch {str(batch_id)[:64]!r}.")


class ImageNotFound(JobError):
    code = "IMAGE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no picture of this name.")


class PreviewNotFound(JobError):
    code = "PREVIEW_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no preview of this job: it is not being drawn, or not for long.")


class InputNotFound(JobError):
    code = "INPUT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no input picture with this SHA-256.")


class InputInvalid(JobError):
    """A picture the client sent is no picture, too large, or of a kind that is not read."""

    code = "VALIDATION_FAILED"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.fields = {field: [problem]}


class InputsUnwritable(JobError):
    """The disk of the input pictures refuses."""

    code = "STORAGE_UNAVAILABLE"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The pictures sent along cannot be kept just now ({problem}); nothing was stored. "
            "Free some space where StableQueue keeps its data, and send the request again."
        )
