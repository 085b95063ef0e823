"""The walk of a scan through a model: direction, preparation, slices, and back onto the scan's own grid."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from kerasgan.errors import ForeignError, KerasganError
from kerasgan.scans.channels import require_names, require_one_grid
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.gate import Verdict
from kerasgan.scans.geometry import AXIAL, MULTIPLE, orientation, oriented
from kerasgan.scans.intensity import IntensityMap
from kerasgan.scans.preparation import Prepared, preparation_of, prepare
from kerasgan.scans.slices import first_channel, mean_with_mirrored
from kerasgan.scans.structures import Structures
from kerasgan.scans.volume import Modality, Volume
from kerasgan.text import kind

EXCHANGED = 2.0  # times as far as from another channel is an image from the one that it was given as

logger = logging.getLogger(__name__)


class Translation(NamedTuple):
    """What a model made of a scan.

    Attributes:
        volume: The other modality, on the scan's grid.
        contract: The contract that it was made by.
        verdict: The input gate's answer about the scan, of several channels the worst one; None without a gate.
        engine: What computed the network, such as `"OpenVINO bfloat16"`; `""` where only a server knows.
        structures: What was segmented in `volume`, on its grid; None where nothing was asked for.
    """

    volume: Volume
    contract: Contract
    verdict: Verdict | None
    engine: str
    structures: Structures | None = None


class Translator(ABC):
    """A model that translates slices, wherever it runs: a run, a TFLite file, a server.

    A subclass says which modalities the model takes, gives the contract of a direction and predicts a batch of slices.
    Everything else between two scans is done here, once for all of them.

    Attributes:
        name: What messages call the model.
        origin: The path or address by which the model is known again; "" where it has none.
        error: The class of errors about a scan that does not fit the model.
        batch_size: Number of slices that `predict` gets at once.
        needs_tensorflow: Whether `predict` uses TensorFlow.
        load: Is called by `start` before anything that needs TensorFlow; a command loads it there, without its lines.
        turn: Is entered for `start` and for each `predict`; a lock, where several threads translate scans at once.
        show_progress: Whether a bar counts the slices of a scan.
        export_command: Command that exports the model again, for error messages; empty if there is none.

    Example:
        A network that answers every slice with 0 HU::

            class Water(Translator):
                name = "water"

                def sources(self):
                    return {"ab": "MR"}

                def contract(self, direction):
                    return read_my_contract()

                def predict(self, direction, images, maps):
                    return np.zeros_like(images[..., :1])

            ct = Water().translate(read_volume("patient/T1")).volume
    """

    name: str
    origin: str = ""
    error: type[KerasganError] = KerasganError
    batch_size: int = 1
    needs_tensorflow: bool = False
    load: Callable[[], None] = staticmethod(lambda: None)
    turn: AbstractContextManager[object] = nullcontext()
    show_progress: bool = True
    export_command: str = ""

    @abstractmethod
    def sources(self) -> Mapping[Direction, Modality]:
        """The modality that goes in, for each direction that the model has."""

    @abstractmethod
    def contract(self, direction: Direction) -> Contract:
        """The contract of one direction.

        Raises:
            KerasganError: Where the model lacks it or cannot be read.
        """

    @abstractmethod
    def predict(self, direction: Direction, images: np.ndarray, maps: Sequence[IntensityMap]) -> np.ndarray:
        """Translates a batch of slices.

        Args:
            direction: One of `sources()`.
            images: float32 `[batch, height, width, channels]` in [-1, 1].
            maps: The map of each channel, which made it from the scan's own values.

        Returns:
            `[batch, height, width, 1]` in the target's unit, such as HU.
        """

    def start(self, direction: Direction, view: Prepared, rows: np.ndarray, truth: Volume | None = None) -> None:
        """Makes ready to predict the slices of a scan that was read and prepared, so that a wrong one costs no wait.

        Args:
            direction: One of `sources()`.
            view: The scan in its first plane.
            rows: Indices of the slices that are going to be predicted, at least one.
            truth: The true target on the grid of `view.axial`, in the target's unit; None where it is not known.
        """
        self.load()

    def engine(self, direction: Direction) -> str:
        """What computes the network once `start` was called, such as `"LiteRT float32"`; `""` where nobody says so."""
        return ""

    def structures(self, direction: Direction) -> tuple[str, ...]:
        """The structures that the model segments in what it makes in a direction; none where it has no network for it.

        Raises:
            KerasganError: Where the network is missing that the model should have. The class is `error`.
        """
        return ()

    def segmenter(self, direction: Direction) -> Callable[[np.ndarray], np.ndarray]:
        """Loads the network that segments what the model makes in a direction, which has `structures`.

        Returns:
            A function from synthetic slices as `predict` gives them, `[batch, height, width, 1]` in the target's unit,
            to the probability of each class, `[batch, height, width, 1 + structures]`; class 0 is the background.

        Raises:
            KerasganError: Where it cannot be used. The class is `error`.
        """
        raise NotImplementedError(f"{type(self).__name__} names structures, and does not say what segments them.")

    def require_structures(self, direction: Direction) -> tuple[str, ...]:
        """The structures that the model segments in what it makes in a direction, at least one.

        Raises:
            KerasganError: Where it segments none. The class is `error`.
        """
        if names := self.structures(direction):
            return names
        for other, modality in self.sources().items():
            if found := self.structures(other):
                target = self.contract(other).target.modality
                raise self.error(
                    f"{self.name} segments {', '.join(found)} in synthetic {target} alone, and this scan is translated "
                    f"to {self.contract(direction).target.modality}. Give a scan of {modality} (--direction {other}), "
                    "or leave --structures out."
                )
        raise self.error(
            f"{self.name} has no segmentation network, which --structures needs. Runs of a recipe that trains one, "
            "such as mujtaba2025, have it, and packs of such runs; exported files and servers have none. Name such a "
            "run or pack, or leave --structures out."
        )

    def _chosen(self) -> dict[str, object]:
        """What a program has chosen for this translator, which goes along with it to another process."""
        return {"load": self.load} if "load" in vars(self) else {}

    def direction(self, modality: Modality, wanted: Direction | None = None) -> Direction:
        """The direction in which a scan is translated.

        Args:
            modality: Modality of the scan.
            wanted: `"ab"` or `"ba"`; None: the one that takes the modality.

        Raises:
            KerasganError: Where no direction, or not the wanted one, takes that modality, or both do and none is
                wanted. The class is `error`.
        """
        sources = self.sources()
        fitting = [direction for direction, source in sources.items() if source == modality]
        if wanted is None and len(fitting) > 1:
            raise self.error(f"Both directions of {self.name} take {modality}; say --direction ab or ba.")
        if wanted is not None and wanted not in sources:
            export = f"export the other one with: {self.export_command} --direction {wanted}"
            raise self.error(
                f"{self.name} has direction {' and '.join(sources)} only, not {wanted}; leave --direction out, or "
                f"{export if self.export_command else 'name a model that has it.'}"
            )
        if (wanted or next(iter(fitting), None)) not in fitting:
            asked = [wanted] if wanted else list(sources)
            takes = " and ".join(f"direction {one} of {self.name} takes {sources[one]}" for one in asked)
            raise self.error(
                f"The input is {modality}, but {takes}. Give a scan of that modality, or another direction or model."
            )
        return wanted or fitting[0]

    def translate(
        self,
        volume: Volume | Mapping[str, Volume],
        direction: Direction | None = None,
        overwrite: bool = False,
        flip: bool = False,
        strict: bool = False,
        structures: bool = False,
    ) -> Translation:
        """Translates a volume, whole slice by whole slice, in each plane that the contract names.

        Args:
            volume: A scan of any orientation and grid; for a model with named channels, that of each by its name, all
                on one grid.
            direction: `"ab"` or `"ba"`; None: the one that takes the volume's modality.
            overwrite: The result may take the place of the volume's own values, which halves the memory.
            flip: Take the mean of what the model makes of each slice and of the slice mirrored, in twice the time. Left
                and right change places, so sagittal slices are not mirrored.
            strict: Refuse a scan that is foreign to the model.
            structures: Segment the result, by the network that was trained with the generators.

        Returns:
            The other modality on the volume's grid: HU within the trained window for CT, the median training scale for
            MR, and air around the body. With it the contract, the input gate's answer and the structures.

        Raises:
            ForeignError: For a foreign scan under `strict`.
            KerasganError: For a modality that the model does not take, channels that are missing, unknown, exchanged
                or on different grids, a body that is larger than its fixed size, structures that the model does not
                segment, or a model that cannot be used.
            TypeError: For anything but a volume, or volumes by name.
        """
        given = dict(volume) if isinstance(volume, Mapping) else {"": volume}
        for one in given.values():
            if not isinstance(one, Volume):
                raise TypeError(
                    f"A scan must be a kerasgan.Volume, voxels that know their place; got {kind(one)}. Read one: "
                    "kerasgan.read_volume(path), or make one: kerasgan.Volume(array, spacing_mm=(x, y, z), "
                    "modality='MR')."
                )
        direction = self.direction(next(iter(given.values())).modality if given else "MR", direction)
        contract = self.contract(direction)
        names = self.require_structures(direction) if structures else ()
        channels = {name: given[name] for name in self.require_channels(list(given), direction)}
        try:
            require_one_grid(channels)
        except ValueError as error:
            raise self.error(str(error)) from error
        first, *further = channels.values()
        logger.info("%s to %s (--direction %s).", first.modality, contract.target.modality, direction)
        if contract.quick:
            logger.warning("The model is from a quick run: it shows that everything works, its images mean nothing.")
        try:
            settings, size = preparation_of(contract), contract.fixed_size
            prepared = prepare(first, settings, crop=False, size=size, overwrite=overwrite, further=further)
        except ValueError as error:
            raise self.error(f"The scan cannot be translated: {error} Name another scan.") from error
        verdict = self._judge(prepared, direction, strict)
        labels = np.zeros(prepared.axial.shape, np.uint8) if names else None
        axial = self.translate_prepared(prepared, direction, overwrite, flip, labels=labels)

        def on_grid(volume: Volume) -> Volume:
            return replace(oriented(volume, orientation(first)), source=first.source)

        found = None if labels is None else Structures(names, on_grid(axial.with_array(labels)))
        return Translation(on_grid(axial), contract, verdict, self.engine(direction), found)

    def translate_prepared(
        self,
        prepared: Prepared,
        direction: Direction,
        overwrite: bool = False,
        flip: bool = False,
        truth: Volume | None = None,
        labels: np.ndarray | None = None,
    ) -> Volume:
        """Translates a scan that was prepared before.

        Args:
            prepared: Whole slices, `prepare(..., crop=False)`.
            direction: The direction that takes the scan's modality.
            overwrite: Whether the result takes the place of the prepared scan's own values.
            flip: As in `translate`.
            truth: The true target on the grid of `prepared.axial`, in the target's unit, by which engines are judged as
                well where it is known; it changes nothing else.
            labels: uint8 zeros on the grid of `prepared.axial`, `[slices, rows, columns]`, for the class of each voxel
                of the result, see `segmenter`; where the result is air around the body they stay 0. None: nothing is
                segmented. Models that segment see axial slices alone.

        Returns:
            The synthetic scan on the grid of `prepared.axial`.

        Raises:
            KerasganError: For a body that is larger than the model's fixed size, or a model that gives NaN or infinite
                values. The class is `error`.
        """
        contract = self.contract(direction)
        (low, _), enlarging = contract.target.window, contract.way_back.enlarging
        passes, batches = [], []
        for view in prepared.views(crop=False, size=contract.fixed_size):
            self._require_whole_body(view)
            own = overwrite and view is prepared
            passes.append((view, view.axial.array if own else np.empty(view.axial.shape, np.float32)))
            values = passes[-1][1]
            occupied = np.flatnonzero(view.mask.any(axis=(1, 2)))
            values[np.setdiff1d(np.arange(len(values)), occupied)] = low
            starts = range(0, len(occupied), self.batch_size)
            batches += [(view, values, occupied[first : first + self.batch_size]) for first in starts]

        segment: Callable[[np.ndarray], np.ndarray] | None = None
        if batches:
            view = batches[0][0]
            rows = np.concatenate([rows for other, _, rows in batches if other is view])
            with self.turn:
                self.start(direction, view, rows, truth if view is prepared else None)
                if labels is not None:
                    segment = self.segmenter(direction)

        def predict(images: np.ndarray) -> np.ndarray:
            with self.turn:
                return self.predict(direction, images, prepared.maps)

        total, hidden = sum(len(rows) for *_, rows in batches), not self.show_progress
        with tqdm(desc="Translating", total=total, unit="slice", leave=False, disable=hidden) as bar:
            for view, values, rows in batches:
                network = mean_with_mirrored(predict) if flip and view.plane != "sagittal" else predict
                synthetic = np.asarray(network(view.images(rows)))  # [batch, height, width, 1]
                if bad := synthetic.size - np.count_nonzero(np.isfinite(synthetic)):
                    export = f"Export it again: {self.export_command}" if self.export_command else "Name another model."
                    raise self.error(
                        f"Of the values that {self.name} gave, {bad} of {synthetic.size} are NaN or infinite. The scan "
                        f"is sound, the model is not. {export}"
                    )
                values[rows] = view.grid.to_source(first_channel(synthetic), low, enlarging)
                if segment and labels is not None:
                    with self.turn:
                        probabilities = segment(synthetic)
                    labels[rows] = view.grid.classes_to_source(probabilities)
                bar.update(len(rows))
        values = passes[0][1]
        if passes[0][0] is not prepared:
            turned = [oriented(view.axial.with_array(array), AXIAL).array for view, array in passes]
            for images in zip(*turned, strict=True):
                images[0][:] = np.median(images, axis=0)
            values = prepared.from_cubes(turned[0], low, enlarging)
        if labels is not None:  # nothing is found where `finished` writes air
            for found, kept in zip(labels, prepared.near_body(contract.way_back.shell_mm), strict=True):
                found[~kept] = 0
        return prepared.finished(values, contract.target, contract.way_back)

    def require_channels(self, given: Sequence[str], direction: Direction) -> list[str]:
        """The names of the channels that a direction takes, in their order; "" for one image.

        Args:
            given: The names of those that it is to get.
            direction: One of `sources()`.

        Raises:
            KerasganError: Where one is missing, or one is too many. The class is `error`.
        """
        names = [channel.name for channel in self.contract(direction).channels]
        try:
            require_names(names, given, self.name)
        except ValueError as error:
            spelling = " ".join(f"{name}=PATH" for name in names) or "PATH"
            raise self.error(f"{error} Name the input {spelling}.") from error
        return names or [""]

    def verdict(self, prepared: Prepared, direction: Direction) -> Verdict | None:
        """The input gate's answer about a prepared scan, of several channels the worst one.

        None where the model has no gate for it.
        """
        contract, found = self.contract(direction), []
        for number, gate in enumerate([channel.gate for channel in contract.channels] or [contract.gate]):
            measurements = prepared.measurements(number) if gate else None
            if gate and measurements is not None:
                found.append(gate.judge(measurements))
        return max(found, key=lambda verdict: verdict.deviation, default=None)

    def _judge(self, prepared: Prepared, direction: Direction, strict: bool) -> Verdict | None:
        """Says in one line whether the scan is like the training scans, and refuses a foreign one under `strict`.

        Each channel has a gate of its own. An image that is foreign to its channel and less than half as far from
        another one was exchanged; it need not fit that, as the body was then found in the wrong image.
        """
        contract = self.contract(direction)
        gates = {channel.name: channel.gate for channel in contract.channels} or {"": contract.gate}
        found = []
        for number, (name, gate) in enumerate(gates.items()):
            of_it, measurements = f", channel {name}" if name else "", prepared.measurements(number)
            if gate is None or measurements is None:
                logger.info("Input gate%s: %s has none for such a scan.", of_it, self.name)
                continue
            verdict = gate.judge(measurements)
            nearer = [
                other
                for other, theirs in gates.items()
                if verdict.answer == "foreign"
                and theirs
                and theirs.judge(measurements).deviation < verdict.deviation / EXCHANGED
            ]
            if nearer:
                raise self.error(
                    f"The image given as channel {name} is like the {nearer[0]} of the training scans, and foreign to "
                    f"their {name}: {verdict.reason}. Give each image under the name of its own channel."
                )
            if strict and verdict.answer == "foreign":
                raise ForeignError(
                    f"The scan{of_it} is foreign to {self.name}: {verdict.reason}. Name a model that was trained on "
                    "such scans, or leave --strict out."
                )
            level = logging.INFO if verdict.answer == "fits" else logging.WARNING
            logger.log(level, "Input gate%s: %s.", of_it, verdict)
            found.append(verdict)
        return max(found, key=lambda verdict: verdict.deviation, default=None)

    def _require_whole_body(self, prepared: Prepared) -> None:
        """Refuses a scan whose body is cut by the model's fixed size: the rest would silently become air."""
        grid, bits = prepared.grid, np.bitwise_or.reduce(prepared.body_bits)
        outline = prepared.unpacked(bits)[None].astype(np.float32)
        whole = replace(grid, size=grid.scaled).to_network(outline, fill=0.0) >= 0.5
        seen = grid.to_network(outline, fill=0.0) >= 0.5
        if seen.sum() < whole.sum():
            sides = zip(grid.size, grid.scaled, strict=True)
            needed = " ".join(str(max(size, -(-scaled // MULTIPLE) * MULTIPLE)) for size, scaled in sides)
            export = f"export a model that shows it: {self.export_command} --size {needed}"
            raise self.error(
                f"The body reaches beyond the {grid.size[0]} x {grid.size[1]} pixels of {self.name}; "
                f"{export if self.export_command else f'name a model of at least {needed} pixels.'}"
            )
