"""Scores synthetic CTs of any origin against true ones, as a run is scored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasgan.config import Data, Intensity, Recipe
from kerasgan.datasets import Scan, describe_found, files_digest, find_secret, salted, to_scan
from kerasgan.errors import DatasetError
from kerasgan.evaluation import results
from kerasgan.evaluation.results import GIVEN, Evaluation
from kerasgan.evaluation.scale import CONSTANT, CONSTANT_IN_TRUTH, constant, places
from kerasgan.evaluation.scoring import Case, Scorer, Scoring, publish
from kerasgan.files import remove_leftovers, staging_folder, with_name_of_its_own
from kerasgan.io import Series, discover, opened, patient_key
from kerasgan.io.images import image_patient
from kerasgan.io.nifti import is_image, read_labels, stem
from kerasgan.metrics import ct_metrics
from kerasgan.scans.geometry import PLANES, oriented
from kerasgan.scans.intensity import body_mask
from kerasgan.scans.preparation import preparation, prepare
from kerasgan.scans.volume import Modality

# A source is prepared as the default recipe does; a single slice may lie in any plane.
_RECIPE = Recipe(name="score", data=Data(planes=tuple(PLANES)))
_FIELD_OF_VIEW_MM = 256.0  # of training squares, which are not cut here
_NAMED = 3  # files that one message names at most
_RESAMPLE = (
    "Corners that are at most 0.1 mm apart are one grid. Resample the synthetic scan onto that of the truth first, in "
    "Python by SimpleITK.Resample(synthetic, truth, SimpleITK.Transform(), SimpleITK.sitkLinear, -1000)."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Given:
    """The files of one patient."""

    key: str
    synthetic: Scan
    truth: Scan
    source: Scan | None
    mask: Path | None


def score(
    synthetic: Path, truth: Path, source: Path | None = None, mask: Path | None = None, out: Path | None = None
) -> Evaluation:
    """Scores synthetic CTs against true ones, see `kerasgan.score`.

    Raises:
        DatasetError: Where patients or grids do not agree, or a path holds nothing that can be scored.
    """
    if mask and not mask.exists():
        raise DatasetError(f"There is no file or folder {mask}. Check the path.")
    folder = out or _beside(synthetic)
    window = Intensity().ct_window_hu
    with ExitStack() as unpacked:
        secret = find_secret(truth if truth.is_dir() else truth.parent)
        patients = _patients(
            unpacked.enter_context(opened(synthetic)),
            unpacked.enter_context(opened(truth)),
            unpacked.enter_context(opened(source)) if source else None,
            mask,
            secret,
        )
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        results.clear(folder)
        metrics = tuple(one for one in ct_metrics(window) if source or one.reference == "truth")
        with staging_folder(folder / "baseline") as kept:
            scorer, scoring = Scorer(metrics, folder, kept, window), Scoring()
            for number, patient in enumerate(tqdm(patients, desc="Scoring", unit="patient")):
                case, made = _load(patient)
                body = case.source.body if case.source else body_mask(case.truth)
                found = {GIVEN: made, CONSTANT if case.source else CONSTANT_IN_TRUTH: constant(body)}
                where = places(case.source) if case.source else {}
                scoring.sample(case.key, scorer.sample(case))
                scoring.add(scorer.measure(case, found, where, number, case.key))
            looked_up = tqdm([*scoring.kept()], desc="Scoring the look-up table", unit="patient")
            scoring.add_looked_up({one.path: scorer.look_up(one) for one in looked_up})
        scans = [scan for one in patients for scan in (one.truth, one.source) if scan]
        result = Evaluation(
            folder,
            "given",
            metrics=scorer.defined(placed=bool(source)),
            scores=scoring.scores(),
            note=f"mask: {'as given' if mask else 'the body that is found in the truth'}",
            direction=None,
            weights="",
            scans=files_digest(scans),
            truth=scoring.truth,
        )
    publish(result, f"{folder.resolve().name}: synthetic CT")
    return result


def _beside(synthetic: Path) -> Path:
    """The folder of the results where none is named.

    Example:
        >>> str(_beside(Path("patient/ct.nii.gz"))), str(_beside(Path("synthetic")))
        ('patient/ct-score', 'synthetic-score')
    """
    path = with_name_of_its_own(synthetic)
    return path.with_name(f"{stem(path) if is_image(path) else path.name}-score")


def _patients(synthetic: Path, truth: Path, source: Path | None, mask: Path | None, secret: bytes) -> list[_Given]:
    """Finds who has a synthetic scan, and the other files of each.

    Two paths that each name one scan, a file or one DICOM series, are taken as those of one patient; in folders the
    patient tells which belong together.
    """
    made, true = _found(synthetic, "CT", is_made=True), _found(truth, "CT")
    sources = _found(source, "MR") if source else []
    if _is_one(made, synthetic) and _is_one(true, truth):
        key = true[0].patient
        if not is_image(made[0].files[0]) and not is_image(true[0].files[0]) and made[0].patient != key:
            logger.warning("%s and %s name different patients.", synthetic, truth)
        of_made, of_true = {key: made[0]}, {key: true[0]}
        of_source = {key: sources[0]} if len(sources) == 1 else _by_patient(sources, source)
        masks = {key: mask} if mask and mask.is_file() else _masks(mask)
    else:
        of_made, of_true = _by_patient(made, synthetic), _by_patient(true, truth)
        of_source, masks = _by_patient(sources, source), _masks(mask)
    for path, of_other in ((truth, of_true), (source, of_source), (mask, masks)):
        missing = [str(of_made[key].files[0]) for key in of_made if key not in of_other] if path else []
        if missing:
            named = ", ".join(missing[:_NAMED]) + f" and {len(missing) - _NAMED} more" * (len(missing) > _NAMED)
            raise DatasetError(
                f"{path} has nothing of the patient of {named}. A patient is known by Patient ID or, for NIfTI and "
                "MHA, by the first folder on the way to the file, or else its name: call the files alike, or name the "
                "file itself."
            )
    if left_out := len(of_true.keys() - of_made.keys()):
        logger.warning("Patients of %s without a synthetic scan, who are left out: %d.", truth, left_out)
    scans: list[_Given] = []
    for key, one in of_made.items():
        patient, other = salted(key, secret), of_source.get(key)
        pair = to_scan(one, patient, "b"), to_scan(of_true[key], patient, "b")
        scans.append(_Given(patient, *pair, to_scan(other, patient, "a") if other else None, masks.get(key)))
    return scans


def _found(path: Path, modality: Modality, is_made: bool = False) -> list[Series]:
    """The series of a modality that can be used. Of sources, those that show an MR, else CT such as cone-beam CT.

    Raises:
        DatasetError: Where there are none.
    """
    for told in ("CT",) if modality == "CT" else (None, "MR"):
        every = discover(path, told)
        usable = [one for one in every if one.usable and (is_made or not one.synthetic)]
        wanted = [one for one in usable if one.modality == modality] or usable * (modality == "MR")
        left_out = [one.reason or f"it is {one.modality}" for one in every if one not in wanted]
        if wanted and is_made and left_out:  # of a truth or a source that is missing, the patient is named
            logger.warning(
                "%d of %d scans of %s are left out: %s.", len(left_out), len(every), path, left_out[0].rstrip(".")
            )
        if wanted:
            return wanted
    reasons = Counter(one.reason or "synthetic, computed by a network" for one in every if one not in usable)
    why = f", as {reasons.most_common(1)[0][0]}" if reasons else ""
    raise DatasetError(
        f"{path} has no {modality} that can be used; found: {describe_found(every)}{why}. Give {modality} scans"
        f"{' in HU' if modality == 'CT' else ''} as DICOM, NIfTI, MHA or NRRD; kerasgan inspect {path} says what it is."
    )


def _is_one(found: Sequence[Series], path: Path) -> bool:
    """True for a path that names one scan: an image file alone in a folder is still a patient of that folder."""
    return len(found) == 1 and (path.is_file() or not is_image(found[0].files[0]))


def _by_patient(found: Sequence[Series], path: Path | None) -> dict[str, Series]:
    by_key: dict[str, Series] = {}
    for one in found:
        if other := by_key.get(one.patient):
            raise DatasetError(
                f"{path} has several scans of one patient, such as {other.files[0]} and {one.files[0]}. Leave one of "
                "them in the folder, or name the file itself."
            )
        by_key[one.patient] = one
    return by_key


def _masks(root: Path | None) -> dict[str, Path]:
    """The mask of each patient of a folder; of several images, that with the word in its name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")) if root else []:
        if is_image(path) and path.is_file():
            key = patient_key(image_patient(path.relative_to(root), root.name)) if root else ""
            found.setdefault(key, []).append(path)
    named = {key: [path for path in paths if "mask" in path.name.lower()] for key, paths in found.items()}
    chosen = {key: named[key] if len(paths) > 1 else paths for key, paths in found.items()}
    if several := [paths for paths in chosen.values() if len(paths) > 1]:
        raise DatasetError(f"{root} has several masks of one patient, such as {several[0][0]} and {several[0][1]}.")
    return {key: paths[0] for key, paths in chosen.items() if paths}


def _load(given: _Given) -> tuple[Case, np.ndarray]:
    """Reads the files of a patient: the case, and the synthetic scan on its grid."""
    made, truth = (oriented(scan.load()) for scan in (given.synthetic, given.truth))
    made.grid.require(truth.grid, given.key, _RESAMPLE)
    if given.mask:
        image = oriented(read_labels(given.mask))
        image.grid.require(truth.grid, given.key, f"Resample the mask {given.mask} onto the grid of the truth.")
        mask = image.array > 0
    else:
        mask = body_mask(truth)
    if not mask.any():
        raise DatasetError(f"The mask of patient {given.key} is empty; give another one with --mask, or leave it out.")
    if given.source is None:
        return Case(given.key, truth, mask), made.array
    source = oriented(given.source.load())
    source.grid.require(truth.grid, given.key, "Register and resample the source onto the grid of the truth first.")
    settings = preparation(_RECIPE, "", None, _FIELD_OF_VIEW_MM)
    with given.source.usable():
        return Case(given.key, truth, mask, prepare(source, settings, crop=False), source), made.array
