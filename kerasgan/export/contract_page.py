"""The contract of a served model as a page to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kerasgan.export.serving_contract import ServingContract, contract_signature
from kerasgan.scans.contract import Contract, Signature, Tensor
from kerasgan.scans.names import CONTRACT
from kerasgan.text import markdown_table, points

FROM_THE_BATCH = (
    "{signatures} find the range of an MR themselves: percentiles {low:g} and {high:g} over the body, in all slices of "
    "a request, which must be those of one scan. A scan split over several requests gets several ranges, and requests "
    "that the server merges get one for different scans. The body is an estimate, bias correction is left to the "
    "client, and slices that were resampled before have lost some of their darkest and brightest values. {exact} are "
    "exact, with the percentiles that the client takes over the whole scan at its own resolution."
)


def contract_page(described: ServingContract) -> str:
    """The contract in Markdown.

    Args:
        described: The contract.
    """
    parts = [f"# {described.name}, version {described.version}: tensors and their meaning"]
    parts.append(described.directions["ab"].statement)
    for one in described.directions.values():
        parts += [f"## Direction {one.direction}: {one.source.modality} to {one.target.modality}", *_direction(one)]
    parts += ["## The contract itself", "\n".join(markdown_table(_rows({CONTRACT: contract_signature()})))]
    return "\n\n".join(parts) + "\n"


def _direction(one: Contract) -> Iterator[str]:
    yield "\n".join(points(_facts(one)))
    yield "\n".join(markdown_table(_rows(one.signatures)))


def _facts(one: Contract) -> list[str]:
    derived = [name for name, signature in one.signatures.items() if signature.batch == "volume"]
    taken = "MR in any unit" if derived else f"{one.source}; values outside are clipped"
    facts = [
        f"In: {taken}. NaN and infinite values are refused.",
        f"Out: {one.target}, never outside.",
        f"Images: {one.orientation}; {one.slices}; pixels of {one.pixel_mm:g} mm ({one.resampling}).",
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


def _rows(signatures: Mapping[str, Signature]) -> list[list[str]]:
    rows = [["signature", "tensor", "", "dtype", "shape", "meaning"]]
    for name, signature in signatures.items():
        for side, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            rows += [[name, tensor, side, *_cells(described)] for tensor, described in tensors.items()]
    return rows


def _cells(tensor: Tensor) -> list[str]:
    lengths = zip(tensor.shape, tensor.axes, strict=True)
    shape = ", ".join(axis if length is None else str(length) for length, axis in lengths)
    return [tensor.dtype, f"[{shape}]", tensor.meaning]
