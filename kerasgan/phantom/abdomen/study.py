"""The dataset of abdomens: enhanced CT and in-phase MR, each with a breath and a field of view of its own."""

from __future__ import annotations

from kerasgan.phantom.abdomen.anatomy import make_abdomen, pose
from kerasgan.phantom.abdomen.tissues import CLASSES
from kerasgan.phantom.body import Grid
from kerasgan.phantom.model import Phantom
from kerasgan.phantom.study import AXIAL, BodySize, Study, examine_body
from kerasgan.scans.volume import Modality

IN_PHASE = {
    "ScanningSequence": "GR",
    "SequenceVariant": "SP",
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "RepetitionTime": 120,
    "EchoTime": 4.6,
    "FlipAngle": 80,
    "EchoTrainLength": 1,
    "MagneticFieldStrength": 1.5,
}


def examine(seed: int, modalities: tuple[Modality, ...], size: BodySize) -> dict[Modality, Phantom]:
    """One modality in its own breath, or both in that of the CT."""
    return examine_body(make_abdomen(seed), modalities, size, lambda modality: pose(seed, modality), first="CT")


ABDOMEN = Study(
    name="abdomen",
    site=902,
    version=1,
    size=BodySize(
        mr=Grid(shape=(36, 104, 128), spacing_mm=(3.0, 3.0, 6.0)),
        ct=Grid(shape=(60, 112, 128), spacing_mm=(2.8, 2.8, 4.0)),
    ),
    descriptions={"MR": "T1_InPhase_phantom", "CT": "CT_Venous_phantom"},
    planes={"MR": AXIAL, "CT": AXIAL},
    sequence=IN_PHASE,
    ct_window=(50, 400),
    examine=examine,
    classes=CLASSES,
    labels_all=True,
)
