"""The models of a folder, each in its highest version; a higher one takes over once it can answer."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kerasgan.errors import KerasganError, ServingError
from kerasgan.export.layout import models, versions
from kerasgan.serving.folder import served_models
from kerasgan.serving.model import Model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """How it is with a version of a model.

    Attributes:
        version: Its number.
        state: AVAILABLE, or END where it could not be loaded.
        error: Why it could not.
    """

    version: int
    state: Literal["AVAILABLE", "END"]
    error: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which model a request asks for.

    Attributes:
        name: Of the model.
        version: None for the one that is served.
        label: Of a version, "" for none.
    """

    name: str
    version: int | None = None
    label: str = ""


class Store:
    """Loads the models of a folder.

    Args:
        folder: `DIR` of `DIR/<name>/<version>`.

    Raises:
        KerasganError: Where there is no model, or one cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._failed: dict[str, Status] = {}
        self._models = {name: self._newest(name) for name in served_models(folder)}

    def names(self) -> list[str]:
        """All models that can be asked."""
        return sorted(self._models)

    def find(self, wanted: Wanted) -> Model:
        """The model that a request asks for; it stays whole as long as the caller holds it.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT for a label, which no version has.
        """
        if wanted.label:
            raise ServingError(f"Unrecognized servable version label: {wanted.label}", "INVALID_ARGUMENT")
        model = self._models.get(wanted.name)
        if model is None or wanted.version not in (None, model.version):
            named = f"Latest({wanted.name})" if wanted.version is None else f"Specific({wanted.name}, {wanted.version})"
            raise ServingError(f"Servable not found for request: {named}", "NOT_FOUND")
        return model

    def status(self, wanted: Wanted) -> list[Status]:
        """How it is with the versions of a model, or the one that is wanted.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT for a label.
        """
        if wanted.label:
            self.find(wanted)
        model, failed = self._models.get(wanted.name), self._failed.get(wanted.name)
        found = [Status(model.version, "AVAILABLE")] if model else []
        found = [one for one in [*found, failed] if one and wanted.version in (None, one.version)]
        if not found:
            which = "any versions" if wanted.version is None else f"version {wanted.version}"
            raise ServingError(f"Could not find {which} of model {wanted.name}", "NOT_FOUND")
        return found

    def refresh(self) -> None:
        """Takes higher versions and new models over; one that cannot be loaded leaves the former in place."""
        for name in models(self.folder):
            served = self._models.get(name)
            if served is None or served.version != versions(self.folder / name)[-1]:
                self._switch(name)

    def _switch(self, name: str) -> None:
        try:
            self._models[name] = self._newest(name)
        except (KerasganError, OSError) as error:
            # It may be on its way from another disk, so the next look tries again; it is told once.
            failed = Status(versions(self.folder / name)[-1], "END", str(error))
            if self._failed.get(name) != failed:
                logger.warning("%s", error)
            self._failed[name] = failed
            return
        self._failed.pop(name, None)
        logger.info("Serving %s version %d.", name, self._models[name].version)
        gc.collect()  # the former SavedModel refers to itself

    def _newest(self, name: str) -> Model:
        model = self.folder / name
        return Model(model / str(versions(model)[-1]))
