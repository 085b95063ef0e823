"""Keys of patients: digests of ids, made with a secret of the data folder, so that nobody can find an id by trying all.

The secret is a hidden file in the data folder. It never enters a run, which holds the keys and a digest of the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import logging
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from kerasgan.errors import DatasetError, KerasganError
from kerasgan.files import replacing
from kerasgan.io.frames import patient_key
from kerasgan.io.nifti import stem

SECRET = ".kerasgan-secret"
_BYTES = 32
_SUBJECTS = re.compile(r"sub-[0-9A-Za-z]+|\d{3}_S_\d{4,5}")  # BIDS and ADNI

logger = logging.getLogger(__name__)


def create_secret(root: Path) -> None:
    """Gives a data folder its secret, unless it has one or cannot be written, which is logged."""
    if not root.is_dir() or find_secret(root):
        return
    try:
        with replacing(root / SECRET) as temporary:
            temporary.write_bytes(secrets.token_bytes(_BYTES))
    except KerasganError as error:
        logger.warning(
            "%s Without a secret there, the patients' keys in a run are plain digests of their ids: do not pass the "
            "run on where ids are easily tried.",
            error,
        )


def find_secret(folder: Path) -> bytes:
    """The secret of a data folder, which is in the folder or in one above it; `b""` where there is none."""
    resolved = folder.resolve()
    for place in (resolved, *resolved.parents):
        try:
            if secret := (place / SECRET).read_bytes()[:_BYTES]:
                return secret
        except OSError:
            continue
    return b""


def digest(secret: bytes) -> str:
    """The digest of a secret, which a run records; `""` for no secret, as in runs of version 0.1.0."""
    return hashlib.sha256(secret).hexdigest() if secret else ""


def secret_of(recorded: str, folders: Iterable[Path]) -> bytes:
    """The secret with which a run made its keys.

    Args:
        recorded: Its `digest` according to the run.
        folders: Data folders that may have it.

    Raises:
        DatasetError: Where none has it: nobody could tell who was trained on.
    """
    searched = list(folders)
    for secret in (b"", *map(find_secret, searched)):
        if digest(secret) == recorded:
            return secret
    raise DatasetError(
        f"The patients of {' and '.join(map(str, searched))} cannot be told from those that the run was trained on: "
        f"its keys were made with the secret of another folder. Copy the file {SECRET} from the folder of the training."
    )


def salted(key: str, secret: bytes) -> str:
    """The key of a patient under a secret; the `patient_key` itself without one.

    Example:
        >>> salted("p07e0e0d088", b""), salted("p07e0e0d088", b"secret")
        ('p07e0e0d088', 'pe5188f7ab3')
    """
    return "p" + hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()[:10] if secret else key


def is_key_of(key: str, path: Path, patient: str, secret: bytes) -> bool:
    """True for a key by which a dataset of the package may call the patient of a file.

    Datasets take the patient from Patient ID, or from a folder or name on the way to the file.

    Args:
        key: A key from a run or a message.
        path: The file.
        patient: `Series.patient` of its series.
        secret: The secret of the data folder.
    """
    names = {*path.parts, stem(path), *_SUBJECTS.findall(str(path)), f"./{path.parent.name}"}
    names |= {stem(path)[: end.start()] for end in re.finditer("[_-]", stem(path))}  # without the name of a channel
    names |= {" ".join(pair) for pair in itertools.pairwise(path.parts)}
    for place in (path.parent, path.with_name(stem(path))):  # relative to the folder that a dataset searched
        names |= {"/".join(place.parts[start:]) for start in range(len(place.parts))}
    plain = {patient, *map(patient_key, names)}
    return key in plain or key in {salted(one, secret) for one in plain}
