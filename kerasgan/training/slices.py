"""Sets of prepared slices behind one index: of many scans, with labels, and as a generator translates them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from kerasgan.files import replacing
from kerasgan.scans.slices import predict_slices
from kerasgan.training.cache import STEPS, CachedScan

if TYPE_CHECKING:
    import keras

READ_AT_ONCE = 64  # slices on their way through a generator, which bounds the memory


class Labelled(Protocol):
    """A list of labelled slices, or an object that can be used like one."""

    def __len__(self) -> int:
        """Number of slices."""

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
        """An image, float32 `[height, width, channels]` in [-1, 1], and its classes, integers `[height, width]`."""


class Rows(Protocol):
    """The targets of the slices of a scan: an array, or an object that is read like one."""

    def __getitem__(self, row: int, /) -> np.ndarray:
        """int16 codes `[size, size, targets]` of one slice."""


class SliceStore:
    """The slices of many scans behind one index, read from their memory maps on access.

    Args:
        scans: Cached scans of one domain.
        classes: uint8 `[256]`, the class of each of the domain's label values, see `DatasetCard.classes`; None for a
            store without labels.
        targets: What each slice of each scan is to become, int16 codes `[size, size, targets]` of the other domain;
            None for a store without pairs.

    Raises:
        DatasetError: For a scan without labels where there are classes.
    """

    def __init__(
        self,
        scans: Sequence[CachedScan],
        classes: np.ndarray | None = None,
        targets: Sequence[Rows] | None = None,
    ) -> None:
        self.scans, self.classes, self.targets = list(scans), classes, targets
        for scan in scans if classes is not None else ():
            scan.require_labels()
        self.ends = np.cumsum([len(scan.positions) for scan in self.scans])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index: int) -> np.ndarray:
        """The int16 codes of one slice, `[size, size, channels]`."""
        scan, row = self.place(index)
        return scan.codes[row]

    def labels(self, index: int) -> np.ndarray:
        """The classes of one slice, uint8 `[size, size]`.

        Raises:
            ValueError: For a store without classes.
        """
        if self.classes is None:
            raise ValueError("This store was made without classes; make it with those of DatasetCard.classes.")
        scan, row = self.place(index)
        return self.classes[scan.labels[row]]

    def target(self, index: int) -> np.ndarray:
        """The int16 codes of what one slice is to become, `[size, size, targets]`.

        Raises:
            ValueError: For a store without targets.
        """
        if self.targets is None:
            raise ValueError("This store was made without targets; make it with those of the scans.")
        scan, row = self.number(index)
        return self.targets[scan][row]

    def may_be_mirrored(self, index: int) -> bool:
        """Tells whether left and right may change places in one slice; in a sagittal one, front and back would."""
        scan, row = self.place(index)
        return scan.planes[row : row + 1] != ("sagittal",)

    def place(self, index: int) -> tuple[CachedScan, int]:
        """The scan that a slice belongs to, and its number there."""
        scan, row = self.number(index)
        return self.scans[scan], row

    def number(self, index: int) -> tuple[int, int]:
        """The numbers of the scan that a slice belongs to, and of the slice there."""
        scan = int(np.searchsorted(self.ends, index, side="right"))
        return scan, int(index - (self.ends[scan - 1] if scan else 0))


class LabelledStore:
    """The slices of many labelled scans and their classes behind one index.

    Args:
        scans: Cached scans with labels, of one domain.
        classes: uint8 `[256]`, the class of each of the domain's label values, see `DatasetCard.classes`.

    Raises:
        DatasetError: Where a scan has no labels.
    """

    def __init__(self, scans: Sequence[CachedScan], classes: np.ndarray) -> None:
        self.store = SliceStore(scans, classes)

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One slice: float32 `[size, size, channels]` in [-1, 1], and its classes, uint8 `[size, size]`."""
        scan, row = self.store.place(index)
        return scan.slices([row])[0], self.store.labels(index)


class TranslatedSlices:
    """Labelled slices as a generator translates them: synthetic images with the classes of their sources.

    All are translated at once and kept as 16-bit codes, as prepared slices are.

    Args:
        slices: Images of the generator's source domain, with classes.
        generator: A network from `[batch, height, width, channels]` in [-1, 1] to the same.
        path: A `.npy` file for the codes, so that memory does not grow with their number. An existing file is taken for
            that of the same slices and generator.
        batch_size: Slices that go through the generator at once.
    """

    def __init__(self, slices: Labelled, generator: keras.Model, path: Path, batch_size: int = 4) -> None:
        self.slices = slices
        if not path.exists():
            count, shape = len(slices), slices[0][0].shape
            with replacing(path) as temporary:
                codes = np.lib.format.open_memmap(temporary, "w+", np.int16, (count, *shape))
                for start in tqdm(range(0, count, READ_AT_ONCE), desc="Translating slices", unit="part"):
                    rows = range(start, min(start + READ_AT_ONCE, count))
                    images = np.stack([slices[row][0] for row in rows])  # [rows, height, width, channels]
                    synthetic = predict_slices(generator.predict_on_batch, images, batch_size)
                    codes[rows.start : rows.stop] = np.rint(synthetic * STEPS)
                codes.flush()
        self.codes: np.ndarray = np.load(path, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One synthetic image, float32 `[height, width, channels]` in [-1, 1], and its source's classes."""
        return self.image(index), self.slices[index][1]

    def image(self, index: int) -> np.ndarray:
        """One synthetic image, float32 `[height, width, channels]` in [-1, 1]."""
        return self.codes[index].astype(np.float32) / STEPS


class WithSynthetic:
    """Labelled slices with their synthetic counterparts as further channels.

    Args:
        synthetic: The counterparts, which know their sources.
    """

    def __init__(self, synthetic: TranslatedSlices) -> None:
        self.synthetic = synthetic

    def __len__(self) -> int:
        return len(self.synthetic)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One slice, float32 `[height, width, 2 * channels]` in [-1, 1], and its classes."""
        image, classes = self.synthetic.slices[index]
        return np.concatenate([image, self.synthetic.image(index)], axis=-1), classes
