"""What a node listens to, and its rules: which series become what, by which model, and where the result goes."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, field_validator, model_validator

from kerasgan.errors import KerasganError
from kerasgan.files import read_record
from kerasgan.pacs.address import Address, parse_address
from kerasgan.pacs.server import MOST_IMAGES
from kerasgan.pacs.settings import LOOPBACK, Port, Table, Title, tls_context
from kerasgan.scans.volume import Modality
from kerasgan.text import problems
from kerasgan.translation.shipped import DEMO
from kerasgan.translation.translate import THICKEST_MM, THINNEST_MM

REMEDY = "docs/clinic.md shows such a file."
PollName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,16}$")]
RuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, to_lower=True, strip_whitespace=True)]
Destination = Annotated[Address, BeforeValidator(lambda text: parse_address(str(text), has_study=False))]


class Rule(Table):
    """Which series are translated, and how: a table `[rules.NAME]`. The first rule that fits decides.

    Attributes:
        calling: AE titles that may send; all others are refused by the node, unless another rule names them. Names of
            `[poll]` are those of servers that are asked.
        modality: `"MR"` or `"CT"`.
        body_part: Values of Body Part Examined (0018,0015), in any case; none: every one.
        description: Words of which one is in Series Description (0008,103E), in any case; none: every one.
        model: A run, or a `.kgan`, `.tflite` or `.onnx` file, as seen from the configuration, or `"demo"`.
        destination: Where the result is stored, such as `dicom://AE_TITLE@HOST:PORT`.
        images: Number of images of a whole series, which is translated as soon as they are there; None: when the sender
            has ended the association and no other image came for `quiet_s`.
        repair: Resample uneven gaps and a tilted gantry; otherwise such a series is rejected, as one of its slices may
            be missing.
        axial_mm: Thickness of axial slices to send, as planning systems take them; None: the scan's own slices.
    """

    calling: tuple[Title, ...] = Field(min_length=1)
    modality: Modality
    body_part: tuple[Word, ...] = ()
    description: tuple[Word, ...] = ()
    model: str = Field(min_length=1)
    destination: Destination
    images: int | None = Field(None, ge=1, le=MOST_IMAGES)
    repair: bool = False
    axial_mm: float | None = Field(None, ge=THINNEST_MM, le=THICKEST_MM)

    def unmet(self, calling: str, modality: str, body_part: str | None, description: str | None) -> list[str]:
        """The conditions that an image does not meet, as words; see `Config.rule_for`."""
        texts = []
        if calling not in (titles := [title.strip() for title in self.calling]):
            texts.append(f"{calling} is none of its senders {', '.join(titles)}")
        if modality != self.modality:
            texts.append(f"Modality is {modality[:16] or 'missing'} and not {self.modality}")
        if self.body_part and body_part is not None and body_part.lower() not in self.body_part:
            texts.append(f"Body Part Examined is none of {', '.join(self.body_part)}")
        known = None if description is None else description.lower()
        if self.description and known is not None and not any(word in known for word in self.description):
            texts.append(f"Series Description has none of {', '.join(self.description)}")
        return texts


class Limits(Table):
    """What the node takes at most: the table `[limits]`.

    Attributes:
        image_mb: Megabytes of an image.
        images: Images of a series.
        associations: Associations at once; further ones are told to come again.
        connections_a_minute: Connections from anywhere; more are closed at once.
        idle_s: Seconds for which an association may be silent before it is aborted.
        free_gb: Gigabytes that stay free on the disk of the queue; nothing is taken with less.
    """

    image_mb: float = Field(256.0, gt=0, le=2048)
    images: int = Field(5000, ge=1, le=MOST_IMAGES)
    associations: int = Field(10, ge=1, le=1000)
    connections_a_minute: int = Field(600, ge=1)
    idle_s: float = Field(60.0, gt=0, le=3600)
    free_gb: float = Field(5.0, ge=0)


class Health(Table):
    """Where the node says over HTTP how it goes: the table `[health]`.

    Attributes:
        port: `/health` and `/metrics` are there.
        host: Address to listen on.
    """

    port: Port = 11113
    host: str = LOOPBACK


class Tls(Table):
    """By which certificate the node is known to senders, who then must use TLS: the table `[tls]`.

    Attributes:
        certificate: PEM file, as seen from the configuration, as are the others.
        key: PEM file of its private key.
        authority: PEM file of the authorities of which each sender must show a certificate; None: it need show none.
    """

    certificate: Path
    key: Path
    authority: Path | None = None

    def context(self) -> ssl.SSLContext:
        """What TLS trusts, and shows.

        Raises:
            KerasganError: For a file that is no certificate or key.
        """
        return tls_context(True, self.authority is not None, self.authority, self.certificate, self.key)


class Poll(Table):
    """A DICOMweb server that is asked for new series: a table `[poll.NAME]`; rules have the name in `calling`.

    Attributes:
        server: Its address, such as `dicomweb://HOST:PORT/PATH`.
        since: The first Study Date (0008,0020) of series that are taken.
        past_days: And how many days ago that may be.
        every_s: Seconds between two questions.
    """

    server: Destination
    since: date
    past_days: int = Field(7, ge=1, le=3650)
    every_s: float = Field(60.0, gt=0, le=24 * 3600)

    @field_validator("server")
    @classmethod
    def _is_web(cls, server: Address) -> Address:
        if not server.is_web:
            raise ValueError("only DICOMweb is polled; expected dicomweb://HOST:PORT/PATH")
        return server


class Config(Table):
    """The whole file of a node.

    Attributes:
        folder: Of the queue: what came, what was made, and what became of it.
        rules: By name, in the order in which they are asked.
        port: TCP port for associations. The AE title is that of the file of `--pacs`.
        host: Address to listen on.
        quiet_s: Seconds without another image after which a series is whole, once its association was released.
        give_up_s: Seconds after which a series that is not whole is given up.
        patience_s: Seconds for which a destination that does not take a result is tried again.
        keep_days: Days for which the queue remembers what was sent or rejected, and keeps what failed.
        limits: What is taken at most.
        health: Where the node says how it goes.
        tls: Certificate for encrypted associations; None: they are not encrypted.
        poll: Servers that are asked for new series, by name.
    """

    folder: Path
    rules: Mapping[RuleName, Rule] = Field(min_length=1)
    port: Port = 11112
    host: str = LOOPBACK
    quiet_s: float = Field(30.0, gt=0, le=3600)
    give_up_s: float = Field(3600.0, gt=0, le=365 * 24 * 3600)
    patience_s: float = Field(24 * 3600.0, ge=0)
    keep_days: float = Field(30.0, gt=0)
    limits: Limits = Limits()
    health: Health = Health()
    tls: Tls | None = None
    poll: Mapping[PollName, Poll] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _polled(self) -> Config:
        for name, poll in self.poll.items():
            if not any(name in rule.calling for rule in self.rules.values()):
                raise ValueError(f"no rule takes what poll.{name} brings; name {name} in its calling")
            if poll.past_days > self.keep_days:
                raise ValueError(f"poll.{name}.past_days must be keep_days at most, or series would be taken again")
        return self

    @property
    def callers(self) -> list[str]:
        """The AE titles that may send."""
        return sorted({title.strip() for rule in self.rules.values() for title in rule.calling} - self.poll.keys())

    def rule_for(self, calling: str, modality: str, body_part: str | None, description: str | None) -> str:
        """The name of the first rule that takes an image; `""` if none does.

        Args:
            calling: AE title of the sender, or the name of a polled server.
            modality: Modality (0008,0060).
            body_part: Body Part Examined (0018,0015); None where it is not known, which any rule takes.
            description: Series Description (0008,103E), likewise.

        Example:
            >>> rule = {"calling": ["MR1"], "modality": "MR", "description": ["T1"], "model": "demo"}
            >>> rules = {"head": rule | {"destination": "dicom://PACS@10.0.0.1:104"}}
            >>> config = Config(folder="queue", rules=rules)
            >>> config.rule_for("MR1", "MR", "HEAD", "Sag t1 mprage"), config.rule_for("MR1", "MR", "HEAD", "T2")
            ('head', '')
        """
        facts = (calling, modality, body_part, description)
        return next((name for name, rule in self.rules.items() if not rule.unmet(*facts)), "")

    def why_none(self, calling: str, modality: str, body_part: str, description: str) -> str:
        """What an image that no rule takes lacks for the rule nearest to it; of the image it says the modality alone.

        Args:
            calling: AE title of the sender.
            modality: Modality (0008,0060).
            body_part: Body Part Examined (0018,0015).
            description: Series Description (0008,103E).
        """
        facts = (calling, modality, body_part, description)
        unmet = {name: rule.unmet(*facts) for name, rule in self.rules.items()}
        name = min(unmet, key=lambda name: len(unmet[name]))
        return f"rule {name}: {' and '.join(unmet[name])}"


def read_config(path: Path) -> Config:
    """Reads the file of a node; paths in it are relative to its folder.

    Raises:
        KerasganError: For a file that is missing or invalid.
    """

    def parse(text: str) -> Config:
        content: dict[str, Any] = tomllib.loads(text)
        if isinstance(content.get("folder"), str):
            content["folder"] = path.parent / content["folder"]
        if isinstance(tls := content.get("tls"), dict):
            content["tls"] = {name: path.parent / file if isinstance(file, str) else file for name, file in tls.items()}
        rules = content.get("rules")
        for rule in rules.values() if isinstance(rules, dict) else ():
            model = rule.get("model") if isinstance(rule, dict) else None
            if isinstance(model, str) and model and model != DEMO and "://" not in model:
                rule["model"] = str(path.parent / model)
        try:
            return Config.model_validate(content)
        except ValidationError as error:
            text = problems(
                error, {field for table in (Config, Rule, Limits, Health, Tls, Poll) for field in table.model_fields}
            )
            raise KerasganError(f"it is invalid: {text}{'' if text.endswith('?') else '.'} {REMEDY}") from None

    return read_record(path, parse, REMEDY, KerasganError)
