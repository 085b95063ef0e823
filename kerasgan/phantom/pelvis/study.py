"""The dataset of pelves: coronal MR and axial CT, each with a pose and a field of view of its own."""

from __future__ import annotations

from kerasgan.phantom.body import Grid
from kerasgan.phantom.model import Phantom
from kerasgan.phantom.pelvis.anatomy import make_pelvis, pose
from kerasgan.phantom.pelvis.tissues import CLASSES
from kerasgan.phantom.study import AXIAL, CORONAL, BodySize, Study, examine_body
from kerasgan.scans.volume import Modality

SPGR = {
    "ScanningSequence": "GR",
    "SequenceVariant": "SP",
    "ScanOptions": "",
    "MRAcquisitionType": "3D",
    "RepetitionTime": 7.9,
    "EchoTime": 3.08,
    "FlipAngle": 30,
    "EchoTrainLength": 1,
    "MagneticFieldStrength": 1,
}


def examine(seed: int, modalities: tuple[Modality, ...], size: BodySize) -> dict[Modality, Phantom]:
    """One modality in its own pose, or both in that of the MR."""
    return examine_body(make_pelvis(seed), modalities, size, lambda modality: pose(seed, modality), first="MR")


PELVIS = Study(
    name="pelvis",
    site=901,
    version=1,
    size=BodySize(
        mr=Grid(shape=(96, 60, 128), spacing_mm=(2.75, 4.0, 2.75)),
        ct=Grid(shape=(64, 112, 128), spacing_mm=(3.0, 3.0, 4.5)),
    ),
    descriptions={"MR": "Cor_T1_SPGR_phantom", "CT": "CT_Pelvis_phantom"},
    planes={"MR": CORONAL, "CT": AXIAL},
    sequence=SPGR,
    ct_window=(50, 400),
    examine=examine,
    classes=CLASSES,
    labels_all=True,
)
