"""The picture beside a translation: middle sections of the scan and of what a network made of it.

OpenCV draws it, which every device has; to import matplotlib would take longer than the picture.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from kerasgan.files import replacing
from kerasgan.pictures.sections import PLANES, to_uint8
from kerasgan.scans.geometry import AXIAL, oriented
from kerasgan.scans.volume import Volume
from kerasgan.text import NOT_FOR_DIAGNOSIS

LONGEST = 320  # pixels along the longest side of the volume
GAP, LINE = 8, 26  # between pictures, and of a line of text
FEWEST_PIXELS = 8  # along a side of a section: fewer slices make none from the front or the side
WINDOW_HU = (-500.0, 1300.0)  # of every CT, so that pictures can be compared
PERCENTILES = (0.5, 99.5)  # of the sections of an MR, black and white
BACKGROUND, TEXT, FAINT, ACCENT = (23, 19, 16), (237, 234, 232), (166, 160, 154), (0, 171, 249)  # blue, green, red


class Preview:
    """A picture of a scan above its translation, each in its axial, coronal and sagittal section.

    Args:
        source: The scan, of any orientation; its sections are copied, as a translation may overwrite it.

    Example:
        >>> preview = Preview(Volume(np.zeros((10, 20, 30)), spacing_mm=(1, 1, 2), modality="MR"))
        >>> [section.shape for section in preview.sections]
        [(213, 320), (213, 320), (213, 213)]
    """

    def __init__(self, source: Volume) -> None:
        shape = oriented(source, AXIAL).shape
        sides = [min(np.delete(shape, plane.axis)) for plane in PLANES]
        wide = [plane for plane, side in zip(PLANES, sides, strict=True) if side >= FEWEST_PIXELS]
        self.planes = wide or [PLANES[int(np.argmax(sides))]]  # of a single slice, its own
        self.modality, self.sections = source.modality, self._sections(source)

    def write(self, synthetic: Volume, path: Path) -> None:
        """Writes the picture, which says what is synthetic and names nobody.

        Args:
            synthetic: The translation, on the grid of the source.
            path: The PNG file.

        Raises:
            KerasganError: For a place that cannot be written.
        """
        rows = (
            (f"{self.modality}, acquired", TEXT, self.modality, self.sections),
            (f"{synthetic.modality}, synthetic", ACCENT, synthetic.modality, self._sections(synthetic)),
        )
        height = LINE + max(section.shape[0] for section in self.sections)
        width = GAP + sum(section.shape[1] + GAP for section in self.sections)
        page = np.full((2 * height + GAP + LINE, max(width, LONGEST), 3), BACKGROUND, np.uint8)
        for top, (title, colour, modality, sections) in zip((0, height), rows, strict=True):
            _text(page, title, (GAP, top + LINE - 8), colour)
            low, high = WINDOW_HU
            if modality == "MR":
                low, high = np.percentile(np.concatenate([section.ravel() for section in sections]), PERCENTILES)
            left = GAP
            for plane, section in zip(self.planes, sections, strict=True):
                panel = page[top + LINE :, left:][: section.shape[0], : section.shape[1]]
                panel[:] = to_uint8(section, low, max(high, low + 1e-6))[..., None]
                _text(panel, plane.letters[0], (3, len(section) // 2), FAINT)
                _text(panel, plane.letters[2], (section.shape[1] // 2 - 4, 14), FAINT)
                left += section.shape[1] + GAP
        _text(page, NOT_FOR_DIAGNOSIS, (GAP, len(page) - GAP), ACCENT)
        with replacing(path) as temporary:
            temporary.write_bytes(cv2.imencode(".png", page)[1].tobytes())

    def _sections(self, volume: Volume) -> list[np.ndarray]:
        """The section through the middle in each plane, with square pixels."""
        axial = oriented(volume, AXIAL)
        spacing = np.array(axial.spacing_mm[::-1])  # along slices, rows and columns
        scale = LONGEST / (spacing * axial.shape).max()  # pixels a mm
        sections = []
        for plane in self.planes:
            section = np.ascontiguousarray(plane.cut(axial.array, axial.shape[plane.axis] // 2), dtype=np.float32)
            sides = np.rint(np.delete(spacing, plane.axis) * section.shape * scale)
            height, width = np.maximum(1, sides).astype(int).tolist()
            method = cv2.INTER_LINEAR if height * width > section.size else cv2.INTER_AREA
            sections.append(cv2.resize(section, (width, height), interpolation=method))
        return sections


def _text(page: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
