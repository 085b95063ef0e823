"""As whom this machine speaks to a PACS: AE title, user names, tokens, certificates; and how patiently.

They are in a TOML file, or in environment variables that it names; never on the command line, which others can read in
the list of processes, and never in a message.
"""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from kerasgan.errors import KerasganError
from kerasgan.files import read_record
from kerasgan.pacs.address import Address
from kerasgan.text import problems

LOOPBACK = "127.0.0.1"
SECRETS = ("token", "password")
Title = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]*[\x21-\x5b\x5d-\x7e]$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Table(BaseModel):
    """A table of a TOML file, of which nothing is ignored and no value is shown in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Login(Table):
    """What one server wants to know: the table `[servers."HOST:PORT"]`.

    Attributes:
        token: Sent as a bearer token to DICOMweb; `token_env` names an environment variable instead.
        user: User name for DICOMweb, with `password` or `password_env`.
        password: Of that user.
        authority: PEM file of the authorities to trust for TLS; None: those that the system trusts.
        certificate: PEM file by which this machine shows who it is, with `key`.
        key: PEM file of its private key.
    """

    token: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Login:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.token and self.user:
            raise ValueError("token and user are two ways to log in; give one")
        return self

    def tls(self, receives: bool = False) -> ssl.SSLContext:
        """What TLS trusts, and shows.

        Args:
            receives: For connections that others open to this machine, who must show a certificate, too.

        Raises:
            KerasganError: For a file that is no certificate or key.
        """
        return tls_context(receives, True, self.authority, self.certificate, self.key)


def tls_context(
    receives: bool, asks: bool, authority: Path | None, certificate: Path | None, key: Path | None
) -> ssl.SSLContext:
    """What TLS trusts, and shows, by PEM files.

    Args:
        receives: For connections that others open to this machine.
        asks: The other side must show a certificate.
        authority: Of the authorities to trust; None: those that the system trusts.
        certificate: By which this machine shows who it is, with `key`.
        key: Of its private key, without a passphrase.

    Raises:
        KerasganError: For a file that is no certificate or key.
    """
    purpose = ssl.Purpose.CLIENT_AUTH if receives else ssl.Purpose.SERVER_AUTH
    try:
        context = ssl.create_default_context(purpose, cafile=str(authority) if authority else None)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
        if certificate and key:
            context.load_cert_chain(certificate, key, password="")  # or OpenSSL would ask the terminal for one
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise KerasganError(
            f"A certificate or key for TLS cannot be used ({reason}): authority {authority}, certificate "
            f"{certificate}, key {key}. Name PEM files that belong together, the key without a passphrase."
        ) from error
    return context


class Receiver(Table):
    """Where a PACS can send to, for C-MOVE: the table `[receiver]`, needed where C-GET is refused.

    Attributes:
        port: The PACS must know it, together with the AE title and this machine's address.
        host: Address to listen on.
    """

    port: Port
    host: str = LOOPBACK


class Settings(Table):
    """The whole file.

    Attributes:
        ae_title: How this machine calls itself in an association.
        timeout_s: Seconds without an answer after which a server counts as silent.
        tries: How often a request is made before it fails; the pause between two doubles from one second on.
        servers: What each server wants to know, by `HOST:PORT`.
        receiver: Where C-MOVE sends to; None: C-GET alone is used.

    Example:
        >>> Settings().ae_title, Settings(servers={"pacs:8042": {"token": "x"}}).servers["pacs:8042"].token
        ('KERASGAN', SecretStr('**********'))
    """

    ae_title: Title = "KERASGAN"
    timeout_s: float = Field(30.0, gt=0, le=3600)
    tries: int = Field(4, ge=1, le=20)
    servers: Mapping[str, Login] = Field(default_factory=dict)
    receiver: Receiver | None = None

    def login(self, address: Address) -> Login:
        """What a server wants to know.

        Raises:
            KerasganError: If a secret would travel where others can read it.
        """
        login = self.servers.get(address.place, Login())
        if (login.token or login.password) and not address.is_encrypted and not address.is_loopback:
            raise KerasganError(
                f"{address} would get a token or a password without encryption; use {address.scheme}s://, or "
                f'leave them out of [servers."{address.place}"].'
            )
        return login


def read_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Reads the settings.

    Args:
        path: TOML file; None for those that need no file.
        environment: Environment variables, of which the file may name some as `token_env` and `password_env`.

    Raises:
        KerasganError: For a file that is invalid, or has a secret in it and is readable by others; for a variable that
            is not set. No message has a value of the file.
    """
    if path is None:
        return Settings()
    remedy = "docs/clinic.md shows such a file."
    content: dict[str, Any] = read_record(path, tomllib.loads, remedy, KerasganError)
    servers = content.get("servers")
    for login in servers.values() if isinstance(servers, dict) else ():
        if not isinstance(login, dict):
            continue  # what is wrong is said below
        if not login.keys().isdisjoint(SECRETS) and os.name == "posix" and path.stat().st_mode & 0o077:
            raise KerasganError(f"{path} holds a secret that others can read. Make it yours alone: chmod 600 {path}")
        for secret in SECRETS:
            variable = login.pop(f"{secret}_env", None)
            if variable is None:
                continue
            if secret in login:
                raise KerasganError(f"{path} has both {secret} and {secret}_env for a server; give one.")
            if not environment.get(str(variable)):
                raise KerasganError(f"{path}: the environment variable {variable} for {secret}_env is not set.")
            login[secret] = environment[str(variable)]
        for file in ("authority", "certificate", "key"):
            if isinstance(login.get(file), str):
                login[file] = str(path.parent / login[file])
    try:
        return Settings.model_validate(content)
    except ValidationError as error:  # whose own text has the values
        fields = {field for table in (Settings, Login, Receiver) for field in table.model_fields}
        text = problems(error, fields | {f"{secret}_env" for secret in SECRETS}, shows_values=False)
        raise KerasganError(f"{path} is invalid: {text}{'' if text.endswith('?') else '.'} {remedy}") from None
