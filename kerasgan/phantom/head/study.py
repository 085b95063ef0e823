"""The dataset of heads: MPRAGE and CT of the same head on one grid."""

from __future__ import annotations

from kerasgan.phantom.head.anatomy import make_head
from kerasgan.phantom.model import Phantom
from kerasgan.phantom.study import AXIAL, PhantomSize, Study
from kerasgan.scans.volume import Modality

MPRAGE = {
    "ScanningSequence": ["GR", "IR"],
    "SequenceVariant": "MP",
    "ScanOptions": "",
    "MRAcquisitionType": "3D",
    "RepetitionTime": 2300,
    "EchoTime": 3,
    "InversionTime": 900,
    "FlipAngle": 9,
    "EchoTrainLength": 1,
    "MagneticFieldStrength": 3,
}


def examine(seed: int, modalities: tuple[Modality, ...], size: PhantomSize) -> dict[Modality, Phantom]:
    """One head on one grid, whatever the scanner."""
    return dict.fromkeys(modalities, make_head(seed, size.shape, size.spacing_mm))


HEAD = Study(
    name="head",
    site=900,
    version=3,
    size=PhantomSize(),
    descriptions={"MR": "MPRAGE_phantom", "CT": "CT_Head_phantom"},
    planes={"MR": AXIAL, "CT": AXIAL},
    sequence=MPRAGE,
    ct_window=(40, 80),
    examine=examine,
)
