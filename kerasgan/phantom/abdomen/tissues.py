"""The tissues of the phantom abdomen and how each looks on contrast-enhanced CT and on T1-weighted in-phase MR."""

from __future__ import annotations

from kerasgan.phantom.tissues import Look, TissueLabel

# Values of the label map; the first four are the organs of the CHAOS challenge, everything else is 0.
STRUCTURES = ("liver", "right kidney", "left kidney", "spleen", "stomach", "spine", "ribs")
LABELS = {name: value for value, name in enumerate(STRUCTURES, start=1)}


class Tissue(TissueLabel):
    """Label values of an abdomen; `AIR` is the air around the body.

    Attenuation is that of the portal venous phase, some 70 s after the contrast medium, within the ranges of diagnostic
    textbooks; that of enhanced organs differs between patients. MR is T1-weighted gradient echo in phase, as a share of
    the signal of fat. Gas, lung, compact bone and flowing blood are dark, and what the contrast medium brightens on CT
    shows nothing of it here. Vessels within the liver count as liver, as readers outline it.
    """

    AIR = 0, Look(-1000, 0.0)
    SKIN = 1, Look(30, 0.55)
    FAT = 2, Look(-105, 1.0)
    MUSCLE = 3, Look(62, 0.36)
    TENDON = 4, Look(85, 0.14)
    RIB_CORTEX = 5, Look(800, 0.08, "ribs", bone=True)
    RIB_MARROW = 6, Look(170, 0.55, "ribs", bone=True)
    SPINE_CORTEX = 7, Look(620, 0.09, "spine", bone=True)
    SPINE_MARROW = 8, Look(190, 0.42, "spine", bone=True)
    CARTILAGE = 9, Look(110, 0.34)
    DISC = 10, Look(90, 0.30)
    CANAL = 11, Look(22, 0.16)
    CORD = 12, Look(42, 0.36)
    LUNG = 13, Look(-840, 0.04)
    LIVER = 14, Look(112, 0.55, "liver", ct_spread_hu=9)
    SPLEEN = 15, Look(122, 0.42, "spleen", ct_spread_hu=10)
    RIGHT_KIDNEY_CORTEX = 16, Look(195, 0.50, "right kidney", ct_spread_hu=18)
    RIGHT_KIDNEY_MEDULLA = 17, Look(165, 0.38, "right kidney", ct_spread_hu=20)
    LEFT_KIDNEY_CORTEX = 18, Look(195, 0.50, "left kidney", ct_spread_hu=18)
    LEFT_KIDNEY_MEDULLA = 19, Look(165, 0.38, "left kidney", ct_spread_hu=20)
    PANCREAS = 20, Look(98, 0.60, ct_spread_hu=8)
    STOMACH_WALL = 21, Look(78, 0.40, "stomach")
    STOMACH_CONTENT = 22, Look(18, 0.24, "stomach")
    STOMACH_AIR = 23, Look(-995, 0.0, "stomach")
    BOWEL_WALL = 24, Look(85, 0.43)
    BOWEL_CONTENT = 25, Look(24, 0.36)
    GAS = 26, Look(-990, 0.0)
    BILE = 27, Look(8, 0.28)
    VESSEL = 28, Look(165, 0.17, ct_spread_hu=16)
    HEART = 29, Look(138, 0.26, ct_spread_hu=14)
    LIVER_VESSEL = 30, Look(170, 0.22, "liver", ct_spread_hu=16)
