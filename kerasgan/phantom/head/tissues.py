"""The tissues of the phantom head and how each looks on CT and on T1- and T2-weighted MR."""

from __future__ import annotations

from kerasgan.phantom.tissues import Look, TissueLabel


class Tissue(TissueLabel):
    """Label values of a head; `AIR` is the air around the head, `CAVITY_AIR` the air inside it.

    Attenuation is within the ranges of diagnostic textbooks. `MARROW` stands for marrow and the trabecular bone around
    it, `DURA` for dura and the venous blood of its sinuses. MR is T1-weighted gradient echo (MPRAGE), as a share of the
    signal of white matter. Air, compact bone and CSF are all dark although they are 1,000 HU and more apart: no table
    of intensities can turn this MR into CT. T2-weighted is a turbo spin echo, as a share of the signal of CSF: beside
    the T1 it tells CSF from compact bone, and neither tells that from air.
    """

    AIR = 0, Look(-1000, 0.0)
    CAVITY_AIR = 1, Look(-1000, 0.0)
    SKIN = 2, Look(40, 0.62, t2_signal=0.22)
    FAT = 3, Look(-95, 1.25, t2_signal=0.6)
    MUSCLE = 4, Look(58, 0.52, t2_signal=0.16)
    MUCOSA = 5, Look(35, 0.50, t2_signal=0.55)
    CORTICAL_BONE = 6, Look(1350, 0.06, bone=True, t2_signal=0.03)
    MARROW = 7, Look(420, 0.95, bone=True, t2_signal=0.42)
    DURA = 8, Look(62, 0.28, t2_signal=0.2)
    CSF = 9, Look(6, 0.17, t2_signal=1.0)
    GREY_MATTER = 10, Look(39, 0.64, t2_signal=0.48)
    DEEP_GREY = 11, Look(36, 0.78, t2_signal=0.38)
    WHITE_MATTER = 12, Look(29, 1.0, t2_signal=0.33)
    VITREOUS = 13, Look(8, 0.15, t2_signal=1.0)
    LENS = 14, Look(85, 0.40, t2_signal=0.12)
