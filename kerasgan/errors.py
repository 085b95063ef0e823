"""Errors that a caller may want to catch; all are `KerasganError`.

Each message says what was found, what is needed and what to do. No message carries a patient's name, id or birth date.
"""

from __future__ import annotations

from collections.abc import Mapping


class KerasganError(Exception):
    """Base of all errors that kerasgan raises on purpose; the command line prints it as one line and exits with 2."""


class DicomError(KerasganError):
    """A DICOM file or series cannot be used; the message cites the file and the tag."""


class DatasetError(KerasganError):
    """A dataset folder lacks what training or evaluation needs."""


class RunError(KerasganError):
    """A run directory is missing, incomplete or unsuitable for the request."""


class DivergenceError(KerasganError):
    """A training loss became NaN or grew without bound; the message names the step and the loss."""


class WorkerLostError(KerasganError):
    """Another process of a training ended, or the network between them did."""


class ExportError(KerasganError):
    """An exported artifact could not be written or does not agree with the Keras generator."""


class WorkerError(KerasganError):
    """A process that computes jobs ended or cannot be used, or the scheduler of a cluster cannot be reached."""


class PacsError(KerasganError):
    """A PACS cannot be reached or refuses a request, or a part of a series was not fetched or stored.

    Attributes:
        failed: The reason for each SOP Instance UID (0008,0018) that was not fetched or stored.

    Example:
        >>> PacsError("1 of 3 images was not stored.", failed={"1.2.3": "out of resources"}).failed["1.2.3"]
        'out of resources'
    """

    def __init__(self, message: str, failed: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.failed = dict(failed or {})


class ForeignError(KerasganError):
    """A scan is unlike those that a model was trained on, and such a scan was to be refused."""


class ServingError(KerasganError):
    """A server of models cannot be started or reached, or refuses a request.

    Attributes:
        code: Name of gRPC's status, such as `"NOT_FOUND"`; the same for REST.

    Example:
        >>> ServingError("There is no model 'ct'.", code="NOT_FOUND").code
        'NOT_FOUND'
    """

    def __init__(self, message: str, code: str = "UNKNOWN") -> None:
        super().__init__(message)
        self.code = code
