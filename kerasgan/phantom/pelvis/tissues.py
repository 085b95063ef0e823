"""The tissues of the phantom pelvis and how each looks on CT and on T1-weighted MR."""

from __future__ import annotations

from kerasgan.phantom.tissues import Look, TissueLabel

# Values of the label map; the first four are the structures of Hiasa et al. 2018, everything else is 0.
STRUCTURES = ("pelvis", "femur", "gluteus medius", "gluteus minimus", "gluteus maximus", "sacrum and spine", "bladder")
LABELS = {name: value for value, name in enumerate(STRUCTURES, start=1)}


class Tissue(TissueLabel):
    """Label values of a pelvis; `AIR` is the air around the body.

    Attenuation is without contrast medium, within the ranges of diagnostic textbooks. Marrow is the trabecular bone
    around it; the shaft of the femur holds little but fat. MR is T1-weighted spoiled gradient echo, as a share of the
    signal of fat. Gas, compact bone, tendon and flowing blood are dark, urine and CSF nearly so, and fatty marrow is as
    bright as fat: no table of intensities can turn this MR into CT.
    """

    AIR = 0, Look(-1000, 0.0)
    SKIN = 1, Look(30, 0.50)
    FAT = 2, Look(-105, 1.0)
    MUSCLE = 3, Look(55, 0.36)
    GLUTEUS_MAXIMUS = 4, Look(50, 0.38, "gluteus maximus")
    GLUTEUS_MEDIUS = 5, Look(56, 0.36, "gluteus medius")
    GLUTEUS_MINIMUS = 6, Look(53, 0.37, "gluteus minimus")
    TENDON = 7, Look(85, 0.12)
    PELVIS_CORTEX = 8, Look(950, 0.07, "pelvis", bone=True)
    PELVIS_MARROW = 9, Look(170, 0.66, "pelvis", bone=True)
    FEMUR_CORTEX = 10, Look(1250, 0.06, "femur", bone=True)
    FEMUR_HEAD_MARROW = 11, Look(260, 0.88, "femur", bone=True)
    FEMUR_FATTY_MARROW = 12, Look(20, 0.92, "femur")
    SPINE_CORTEX = 13, Look(700, 0.09, "sacrum and spine", bone=True)
    SPINE_MARROW = 14, Look(160, 0.58, "sacrum and spine", bone=True)
    CARTILAGE = 15, Look(75, 0.42)
    DISC = 16, Look(85, 0.33)
    CANAL = 17, Look(18, 0.20)
    BOWEL_WALL = 18, Look(42, 0.40)
    BOWEL_CONTENT = 19, Look(22, 0.33)
    GAS = 20, Look(-990, 0.0)
    BLADDER_WALL = 21, Look(38, 0.36, "bladder")
    URINE = 22, Look(6, 0.17, "bladder")
    VESSEL = 23, Look(45, 0.14)
    GENITAL = 24, Look(44, 0.40)
