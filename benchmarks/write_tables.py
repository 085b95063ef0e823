"""Writes the results on real heads, in the main README and on their page, from the numbers kept in `docs/results`.

    python benchmarks/write_tables.py

`tests/benchmarks/test_tables.py` fails where a table differs from what this script would write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bench
import numpy as np

from kerasgan.text import p_text

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
KEPT = ROOT / "docs" / "results" / "kerasgan2026-synthrad-paper.json"
OURS, USUAL, TRANSPOSED = "kerasgan2026", "cyclegan, cycle 10, identity 5", "kerasgan2026, transposed convolutions"
METHODS = {  # as the README calls them, the best first
    OURS: "`kerasgan2026`, the default",
    TRANSPOSED: "the same with transposed convolutions",
    "cyclegan": "`cyclegan`: cycle 3, no identity",
    "rajnish2022": "`rajnish2022`",
    USUAL: "`cyclegan`, cycle 10, identity 5: the usual CycleGAN",
    "hiasa2018": "`hiasa2018`: gradient consistency, signed, as printed",
    "nehra2021": "`nehra2021`",
}
METRICS = {"mae_hu": ("MAE [HU], seed 2", 0), "psnr_synthrad2023": ("PSNR, SynthRAD2023 [dB]", 1),
           "ssim_synthrad2023": ("SSIM, SynthRAD2023", 3)}  # fmt: skip
TESTED = {  # metrics of the page: title, digits of mean and SD, digits of the difference
    "mae_hu": ("MAE [HU]", 0, 1),
    "psnr_synthrad2023": ("PSNR, SynthRAD2023 [dB]", 1, 2),
    "ssim_synthrad2023": ("SSIM, SynthRAD2023", 3, 3),
    "mae_air_hu": ("MAE of air [HU]", 0, 1),
    "mae_soft_hu": ("MAE of soft tissue [HU]", 0, 1),
    "mae_bone_hu": ("MAE of bone [HU]", 0, 1),
    "ms_ssim_synthrad2025": ("MS-SSIM, SynthRAD2025", 3, 3),
}
TEXT = """\
Real heads, MR to CT, unpaired: 50 patients seen only as MR, 50 others only as CT, {patients} paired patients to score, one axial
slice each (a subset of [SynthRAD2023 brain](https://doi.org/10.5281/zenodo.7260705), its CT rebuilt from 8-bit pictures).
All recipes at one budget: 128x128 pixels, 32 filters, 4,000 steps of batch 1, CT window [-1000, 1600] HU, N4.

{table}

The first column has the mean over patients for each seed, the others mean ± SD over patients. `kerasgan2026` is {gain:.0f} % below
the usual CycleGAN; each other recipe differs from it with p {others}, but the one with transposed convolutions
(p = {transposed:.2f}): [all figures and tests](docs/results/kerasgan2026-synthrad-paper.md). Read them with care: the checkpoint is the
best of four by the error on these same {patients} patients, so they are no test set, and the scores lean to the good side; and
`kerasgan2026` was designed on these heads. `hiasa2018` probably loses because its loss wants edges of the same sign in MR and CT,
and bone is bright on CT and dark on MR. These scans are not distributed; any folder laid out as in [synthrad](datasets/synthrad.md)
runs the same way:

```
kerasgan reproduce kerasgan2026 --dataset synthrad --data-dir HEADS --scale paper
```
"""  # noqa: E501


def results(kept: dict[str, Any]) -> str:
    """The text of the README's results, with the table.

    Args:
        kept: The content of `KEPT`: the MAE of each repetition, statistics of seed 2, and those of the look-up table.
    """
    seeds, found = kept["mae_hu_of_repetitions"], {(row["method"], row["metric"]): row for row in kept["seed_2"]}
    names = [f"seed {number}" for number in range(3)]
    rows = []
    for method, title in METHODS.items():
        repetitions = ", ".join(str(seeds[method].get(name, "–")) for name in names)
        rows.append([title, repetitions, *(spread(found[method, metric], metric) for metric in METRICS)])
    lookup = kept["look_up_table"]
    rows.append(["best look-up table, fitted on true pairs", f"{lookup['mae_hu']['mean']:.0f}"])
    rows[-1] += [spread(lookup[metric], metric) for metric in METRICS]
    heading = ["recipe", "MAE [HU], seeds 0, 1, 2", *(title for title, _ in METRICS.values())]
    lines = [heading, ["---"] * len(heading), *rows]
    means = {method: np.mean(list(values.values())) for method, values in seeds.items()}
    p_values = {method: found[method, "mae_hu"]["p_t_holm"] for method in METHODS if method != OURS}
    transposed, largest = p_values.pop(TRANSPOSED), max(p_values.values())
    return TEXT.format(
        table="\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- ", "|---").replace("--- |", "---|"),
        patients=kept["patients"],
        gain=100 * (1 - means[OURS] / means[USUAL]),
        others="< 0.001" if largest < 0.001 else f"< {largest:.1g}",
        transposed=transposed,
    )


def page(kept: dict[str, Any]) -> tuple[str, str]:
    """The tables of the page on real heads: each repetition, and the paired tests of seed 2."""
    rows = []
    for method, values in kept["mae_hu_of_repetitions"].items():
        cells = [str(values.get(f"seed {number}", "–")) for number in range(3)]
        numbers = list(values.values())
        rows.append([method, *cells, f"{np.mean(numbers):.0f} ± {np.std(numbers, ddof=1):.1f}"])
    heading = ["method", "seed 0", "seed 1", "seed 2", "mean ± SD of repetitions"]
    repetitions = f"**MAE [HU] of each repetition, mean over patients**\n\n{bench.markdown(heading, rows)}"
    parts = []
    for metric, (title, digits, fine) in TESTED.items():
        rows = []
        for row in kept["seed_2"]:
            if row["metric"] == metric:
                cells = [row["method"], f"{row['mean']:.{digits}f} ± {row['sd']:.{digits}f}", "", "", "", ""]
                if "pairs" in row:
                    interval = f"[{row['interval_low']:.{fine}f}, {row['interval_high']:.{fine}f}]"
                    cells[2] = f"{row['difference']:.{fine}f} {interval}"
                    cells[3:5] = p_text(row["p_t_holm"]), p_text(row["p_wilcoxon_holm"])
                    cells[5] = f"{row['effect_size_dz']:.2f}"
                rows.append(cells)
        heading = ["method", "mean ± SD", "difference from kerasgan2026 [95 % CI]", "p (t)", "p (W)", "d_z"]
        parts.append(f"**{title}**\n\n{bench.markdown(heading, rows)}")
    return repetitions, "\n\n".join(parts)


def spread(row: dict[str, float], metric: str) -> str:
    """Mean and SD over patients with the digits of the metric."""
    digits = METRICS[metric][1]
    return f"{row['mean']:.{digits}f} ± {row['sd']:.{digits}f}"


def main() -> None:
    """Rewrites the README and the page."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    bench.write("results", results(kept), README)
    for name, text in zip(("repetitions", "tests"), page(kept), strict=True):
        bench.write(name, text, KEPT.with_suffix(".md"))


if __name__ == "__main__":
    main()
