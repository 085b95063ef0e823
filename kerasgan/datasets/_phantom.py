"""Phantom datasets: computer-generated patients, written on first use in ADNI's folder layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kerasgan.datasets import DOMAINS, DatasetCard, Domain, Scan, Split, adni, patient_key
from kerasgan.datasets._series import to_scan
from kerasgan.errors import DatasetError
from kerasgan.io import Index, discover
from kerasgan.phantom import Anatomy, map_name, read_split, version_folder, write_dataset
from kerasgan.scans.volume import Modality


class PhantomDataset:
    """The dataset of one anatomy: its card, and the functions that a dataset module needs.

    Args:
        anatomy: Anatomy of the patients.
        name: Name of the dataset.
        title: Title of the card.
        field_of_view_mm: Side of the square that the networks see.
        ct_window_hu: CT window; None leaves it to the recipe.
        structures: Label values of each structure, alike in both domains.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        name: str,
        title: str,
        field_of_view_mm: float,
        ct_window_hu: tuple[float, float] | None,
        structures: Mapping[str, tuple[int, ...]],
    ) -> None:
        self.anatomy = anatomy
        second: Modality = "CT" if anatomy.first == "MR" else "MR"
        self.card = DatasetCard(
            name=name,
            title=title,
            modalities=(anatomy.first, second),
            anatomy=anatomy.name,
            field_of_view_mm=field_of_view_mm,
            ct_window_hu=ct_window_hu,
            paired=True,  # validation and test patients; training scans may have another pose and grid
            licence="Apache-2.0",
            homepage=f"datasets/{name}.md",
            how_to_get="Nothing to get: it is generated on first use, within about a minute on two cores.",
            acknowledgement="None needed; say that the images are a phantom's.",
            default_dir=f"datasets/{name}",
            structures={structure: dict.fromkeys(DOMAINS, labels) for structure, labels in structures.items()},
            channels=("T1", *anatomy.contrasts) if anatomy.contrasts else (),
        )

    def prepare(self, root: Path) -> None:
        """Generates the dataset below `root` unless it is there.

        Raises:
            KerasganError: For a `root` that cannot be written.
        """
        write_dataset(root, anatomy=self.anatomy)

    def scan(self, root: Path, index: Index | None = None) -> list[Scan]:
        """The scans of all patients, found as in an ADNI download, each with its label map and body mask, if any.

        Validation and test scans have both; training scans have a label map for some anatomies.

        Args:
            root: The folder of the dataset.
            index: What was read of files before.

        Raises:
            DatasetError: For a phantom that has not been generated, or lacks files.
        """
        folder = self._folder(root)
        subjects = {patient_key(path.name): path.name for path in (folder / "dicom").iterdir()}
        domains: dict[str, Domain] = dict(zip(self.card.modalities, DOMAINS, strict=True))
        scans = []
        for scan in adni.scan(folder / "dicom", index):
            name = map_name(subjects[scan.patient], scan.modality, self.anatomy)
            mask, labels = (
                path if path.is_file() else None for path in (folder / "masks" / name, folder / "labels" / name)
            )
            scans.append(replace(scan, domain=domains[scan.modality], mask=mask, labels=labels))
            if scan.modality == "MR" and self.anatomy.contrasts:
                scans[-1] = replace(scans[-1], channel="T1")
                for channel, contrast in self.anatomy.contrasts.items():
                    found = discover(folder / "dicom" / subjects[scan.patient] / contrast.description, index=index)
                    scans += [replace(to_scan(series, scan.patient, "a"), channel=channel) for series in found]
        return scans

    def split(self, root: Path, scans: Sequence[Scan], seed: int) -> Split:
        """The split that the phantom was generated with; `seed` changes nothing."""
        keys: dict[str, dict[str, list[str]]] = {
            part: {
                str(domain): [patient_key(subject) for subject in subjects[modality]]
                for domain, modality in zip(DOMAINS, self.card.modalities, strict=True)
            }
            for part, subjects in read_split(self._folder(root)).items()
        }
        return Split.from_keys(scans, keys)

    def _folder(self, root: Path) -> Path:
        folder = version_folder(root, self.anatomy)
        if not (folder / "split.json").is_file():
            raise DatasetError(
                f"There is no phantom in {folder}; run `kerasgan train --dataset {self.card.name} --quick` to write it."
            )
        return folder
