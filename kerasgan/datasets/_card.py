"""The card of a dataset, and the classes of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerasgan.datasets._scan import Domain, Scan
from kerasgan.errors import DatasetError
from kerasgan.scans.channels import checked_names
from kerasgan.scans.volume import Modality

LABELS = 256  # label values are 0 to 255, and 0 is the background


@dataclass(frozen=True)
class DatasetCard:
    """Facts about a dataset that are known before any of its files is read.

    Attributes:
        name: Registry name, as in `--dataset adni`.
        title: Name in full.
        modalities: Modality of domain `a` and of domain `b`.
        anatomy: `"head"`, `"pelvis"`, ...; `""` if it is unknown.
        field_of_view_mm: Side of the square, centred on the patient, that the networks see.
        ct_window_hu: CT window of the dataset; None leaves it to the recipe.
        paired: The scans of one patient are on one grid, so that a synthetic image can be scored.
        licence: Licence or terms of use, in a few words.
        homepage: Page that describes the dataset.
        how_to_get: Instructions to obtain the data and to put it in place; shown when the data is missing.
        acknowledgement: Text or citation that users are asked for.
        default_dir: Default folder of the data, for example `"datasets/adni"`.
        structures: Label values of each structure in each domain that it is labelled in, such as
            `{"liver": {"a": (255,), "b": (63,)}}`; empty for scans without labels.
        channels: Names of the contrasts of domain `a`, in the order in which networks see them, such as
            `("T1", "T2")`: each patient there has a scan of each, all on one grid, and each `Scan` says its `channel`.
            Empty where a scan is one image.

    Raises:
        DatasetError: For a single channel, a repeated name, or one of other characters than letters, digits, `.`, `+`
            and `-`.

    Example:
        >>> from kerasgan.datasets.chaos import CARD
        >>> CARD.modalities, int(CARD.classes("b", ["spleen", "liver"])[63])
        (('CT', 'MR'), 2)
    """

    name: str
    title: str
    modalities: tuple[Modality, Modality]
    anatomy: str
    field_of_view_mm: float
    ct_window_hu: tuple[float, float] | None
    paired: bool
    licence: str
    homepage: str
    how_to_get: str
    acknowledgement: str
    default_dir: str
    structures: Mapping[str, Mapping[Domain, tuple[int, ...]]] = field(default_factory=dict)
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            checked_names(self.channels)
        except ValueError as error:
            raise DatasetError(f"The card of dataset {self.name} is invalid: {error}.") from error

    def classes(self, domain: Domain, structures: Sequence[str]) -> np.ndarray:
        """The class of each label value of a domain: 0 for the background, 1 for the first structure, and so on.

        Args:
            domain: `"a"` or `"b"`; the same structure may have other label values in the other domain.
            structures: Names of the structures, each once.

        Returns:
            uint8 `[256]`; `classes(...)[labels]` turns a label map into classes.

        Raises:
            DatasetError: For a structure that is not labelled in this domain.
        """
        table = np.zeros(LABELS, np.uint8)
        labelled = {name: where[domain] for name, where in self.structures.items() if domain in where}
        for number, name in enumerate(structures, start=1):
            if name not in labelled:
                known = f"choose from: {', '.join(sorted(labelled))}" if labelled else "it has no labels there"
                raise DatasetError(f"{self.name} has no label {name!r} in domain {domain}; {known}.")
            table[list(labelled[name])] = number
        return table


def labelled_classes(card: DatasetCard, scans: Sequence[Scan], structures: Sequence[str]) -> np.ndarray:
    """The class of each label value in training scans of one domain, all of which must have labels.

    Args:
        card: Card of the scans' dataset.
        scans: At least one scan, all of one domain.
        structures: Names of the structures, see `DatasetCard.classes`.

    Returns:
        uint8 `[256]`, see `DatasetCard.classes`.

    Raises:
        DatasetError: For a structure that is not labelled, or a scan without labels.
    """
    wanted, modality = ", ".join(structures), scans[0].modality
    otherwise = "To train without a segmentation: --set segmentation=null."
    try:
        classes = card.classes(scans[0].domain, structures)
    except DatasetError as error:
        raise DatasetError(f"The recipe learns to segment {wanted} on {modality}, but {error} {otherwise}") from error
    missing = sum(scan.labels is None for scan in scans)
    if missing:
        raise DatasetError(
            f"The recipe learns to segment {wanted} on {modality}, but {missing} of {len(scans)} {modality} scans of "
            f"{card.name} for training have no labels; add them, or leave these patients out. {otherwise}"
        )
    return classes
