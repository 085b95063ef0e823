"""The benchmark of scores without truth, on tables whose ranks can be counted by hand."""

import json

import checkpoint_choice
import pytest

COLUMNS = ("mae", *checkpoint_choice.TERMS)


def run(folder, errors: list[float], composites: list[float], dataset="phantom"):
    """A run whose composite is given and whose other terms fall as the error does, or rise where more is better."""
    folder.mkdir()
    rows = [",".join(f"{name}_{direction}" for direction in ("ab", "ba") for name in COLUMNS)]
    for error, composite in zip(errors, composites, strict=True):
        terms = {name: sign * error for name, sign in checkpoint_choice.TERMS.items()} | {"composite": composite}
        rows.append(",".join(str(value) for value in (error, *terms.values()) * 2))
    (folder / "validation.csv").write_text("\n".join(rows))
    (folder / "run.json").write_text(json.dumps({"dataset": dataset, "modalities": {"a": "MR", "b": "CT"}}))
    return folder


def test_ranks_and_excess_are_means_over_the_runs_of_a_dataset_and_direction(tmp_path, capsys):
    same = run(tmp_path / "same", [30.0, 20.0, 25.0], [3.0, 1.0, 2.0])
    reversed_ = run(tmp_path / "reversed", [10.0, 11.0, 12.0, 13.0], [4.0, 3.0, 2.0, 1.0])
    other = run(tmp_path / "other", [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], dataset="synthrad")
    checkpoint_choice.main([str(same), str(reversed_), str(other), "--print-only"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[2:]] == [
        f"{data}, {way}" for data in ("phantom", "synthrad") for way in ("CT to MR", "MR to CT")
    ]
    phantom = dict(zip(rows[0], rows[3], strict=True))
    assert (phantom["runs"], phantom["validations"]) == ("2", "3 to 4")
    assert (phantom["composite"], phantom["mutual_information"]) == ("0.00", "1.00")
    assert phantom["composite: least to most"] == "-1.00 to 1.00"
    assert phantom["excess, least composite"] == "15.0%"  # none of 20, and 3 of 10
    assert phantom["excess, kept"] == phantom["excess, last"] == "27.5%"  # 5 of 20, and 3 of 10
    astray = run(tmp_path / "astray", [3.0, 1.0, 2.0, 8.0], [3.0, 1.0, 2.0, 2.1], dataset="astray")
    checkpoint_choice.main([str(astray), "--print-only"])
    assert capsys.readouterr().out.splitlines()[-1].endswith("| 0.0% | 100.0% | 700.0% |")
    assert rows[-1][1:3] == ["1", "3"]


def test_runs_that_cannot_be_judged_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"has no validation\.csv; name folders that kerasgan train wrote"):
        checkpoint_choice.main([str(tmp_path)])
    short = run(tmp_path / "short", [2.0, 1.0], [2.0, 1.0])
    with pytest.raises(SystemExit, match=r"has 2 validations .* needs three or more"):
        checkpoint_choice.main([str(short)])
