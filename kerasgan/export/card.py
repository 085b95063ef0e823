"""The two pages of a model, in Markdown: its card says what it is, its contract what the tensors of a served one mean.

Neither holds anything of a patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kerasgan import registry
from kerasgan.evaluation.results import AGAIN, is_current
from kerasgan.export.serving_contract import ServingContract, contract_signature
from kerasgan.files import read_record
from kerasgan.runs.run import Run
from kerasgan.scans.contract import Contract, Direction, Signature
from kerasgan.scans.names import CONTRACT
from kerasgan.text import NOT_FOR_DIAGNOSIS, RESEARCH_ONLY, markdown_table, points

LIMITS = (
    "Unpaired training never sees the true image of a scan: the model can add or remove lesions and other findings.",
    "It knows the anatomy, scanners and protocols of its training scans. The input gate says where a scan is unlike "
    "them, but not what the model does with it, nor whether left and right are exchanged.",
    "Values outside these windows are clipped, so metal and very dense bone do not come back.",
    "It translates slice by slice: neighbouring slices can differ by more than they do in a scan.",
)

FROM_THE_BATCH = (
    "{signatures} find the range of an MR themselves: percentiles {low:g} and {high:g} over the body, in all slices of "
    "a request, which must be those of one scan. A scan split over several requests gets several ranges, and requests "
    "that the server merges get one for different scans. The body is an estimate, bias correction is left to the "
    "client, and slices that were resampled before have lost some of their darkest and brightest values. {exact} are "
    "exact, with the percentiles that the client takes over the whole scan at its own resolution."
)


def model_card(run: Run, title: str, contracts: Mapping[Direction, Contract]) -> str:
    """Writes the model card: what the model does, how it was made, how good it is and what its limits are.

    Args:
        run: The run that the model comes from.
        title: Name of the model, and its version where it has one.
        contracts: The contract of each direction.
    """
    facts, recipe, split, either = run.facts, run.recipe, run.split(), next(iter(contracts.values()))
    directions = [["direction", "from", "to", "generator", "its SHA-256"]]
    for one in contracts.values():
        directions.append([one.direction, str(one.source), str(one.target), one.generator, one.generator_sha256])
    counts = {part: " and ".join(f"{len(split[part][d])} of {d}" for d in "ab") for part in ("train", "validation")}
    origin = [
        ["", ""],
        ["recipe", f"{recipe.name}: {recipe.title}" if recipe.title else recipe.name],
        ["citation", recipe.citation or "none"],
    ]
    if distilled := recipe.distillation:
        teacher = f"distilled from a trained {distilled.generator.name}"
        origin.append(["student", f"{distilled.student}, of direction {distilled.direction}, {teacher}"])
    origin += [
        ["anatomy", facts.anatomy or "unknown"],
        ["dataset", Path(facts.dataset).stem],
        ["its licence", licence_of_data(run)],
        ["its fingerprint", facts.fingerprint],
        ["training patients", counts["train"]],
        ["validation patients", counts["validation"]],
        ["seed", str(facts.seed)],
        ["exported by", f"kerasgan {either.kerasgan}"],
    ]
    size = " x ".join(map(str, either.trained_height_width))
    parts = [f"# {title}: {NOT_FOR_DIAGNOSIS}", RESEARCH_ONLY]
    if run.quick:
        parts.append("**A quick run: it shows that everything works, its images mean nothing.**")
    parts += ["## What it does", "\n".join(markdown_table(directions))]
    planes = ", ".join(either.planes).capitalize()
    parts.append(f"{planes} slices with pixels of {either.pixel_mm:g} mm, trained at {size} pixels.")
    parts += ["## How it was made", "\n".join(markdown_table(origin))]
    for heading, lines in (
        ("Not reported by the paper, and chosen here", recipe.unreported),
        ("Deviations from the paper", recipe.deviations),
    ):
        if lines:
            parts += [f"{heading}:", "\n".join(points(lines))]
    parts.append("## How good it is")
    # The tables of all finished evaluations of these generators; they name no patient.
    finished = sorted(path.parent for path in run.path.glob("evaluation*/summary.json") if is_current(run, path.parent))
    parts += [f"### {folder.name}\n\n{read_record(folder / 'table.md', str.strip, AGAIN)}" for folder in finished]
    if not finished:
        parts.append(
            "Not evaluated: no value says how near its images come to the truth. `kerasgan evaluate` measures it."
        )
    parts += ["## Limits", "\n".join(points(LIMITS))]
    return "\n\n".join(parts) + "\n"


def licence_of_data(run: Run) -> str:
    """The licence of a run's data by the card of its dataset, in a few words; code of others is not imported for it."""
    own = run.facts.dataset.endswith(".py")
    licence: str = "that of your data" if own else registry.find("datasets", run.facts.dataset).CARD.licence
    return licence


def contract_page(described: ServingContract) -> str:
    """Writes the contract of a served model as a page to read.

    Args:
        described: The contract.
    """
    parts = [f"# {described.name}, version {described.version}: tensors and their meaning"]
    parts.append(described.either.statement)
    for one in described.directions.values():
        parts.append(f"## Direction {one.direction}: {one.source.modality} to {one.target.modality}")
        parts += ["\n".join(points(_facts(one))), _signature_table(one.signatures)]
    parts += ["## The contract itself", _signature_table({CONTRACT: contract_signature()})]
    return "\n\n".join(parts) + "\n"


def _facts(one: Contract) -> list[str]:
    named = ", ".join(channel.name for channel in one.channels)
    derived = [name for name, signature in one.signatures.items() if signature.batch == "volume"]
    taken = "MR in any unit" if derived else f"{one.source}; values outside are clipped"
    order = f"Channels: {named}, in the order of the last axis, all on one grid; the body is that of the first."
    facts = [
        *([order] if named else []),
        f"In: {taken}. NaN and infinite values are refused.",
        f"Out: {one.target}, never outside.",
        f"Images: {one.orientation}; {one.slices}; pixels of {one.pixel_mm:g} mm ({one.resampling}).",
        f"Back onto the scan: {one.way_back.enlarging} where pixels become smaller; "
        f"more than {one.way_back.shell_mm:g} mm outside the source's body is air.",
        "Any height and width; all images of a batch have the same.",
    ]
    if one.encoding:
        facts.append(f"synthetic_bytes: value = stored * {one.encoding.slope!r} + {one.encoding.intercept!r}.")
    if one.mr_scaling and one.mr_scaling.bias_correction:
        facts.append("The bias field of an MR is corrected with N4 before.")
    if derived and one.mr_scaling and one.mr_scaling.percentiles:
        low, high = one.mr_scaling.percentiles
        exact = " and ".join(sorted(set(one.signatures) - set(derived)))
        facts.append(FROM_THE_BATCH.format(signatures=" and ".join(derived), low=low, high=high, exact=exact))
    return facts


def _signature_table(signatures: Mapping[str, Signature]) -> str:
    rows = [["signature", "tensor", "", "dtype", "shape", "meaning"]]
    for name, signature in signatures.items():
        for side, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for tensor, one in tensors.items():
                lengths = zip(one.shape, one.axes, strict=True)
                shape = ", ".join(axis if length is None else str(length) for length, axis in lengths)
                rows.append([name, tensor, side, one.dtype, f"[{shape}]", one.meaning])
    return "\n".join(markdown_table(rows))
