"""The benchmark of scores without truth, on tables whose ranks can be counted by hand."""

import checkpoint_choice
import pytest

COLUMNS = ("mae", *checkpoint_choice.TERMS)


def run(folder, errors: list[float], composites: list[float]):
    """A run whose composite is given and whose other terms fall as the error does, or rise where more is better."""
    folder.mkdir()
    rows = [",".join(f"{name}_ab" for name in COLUMNS)]
    for error, composite in zip(errors, composites, strict=True):
        terms = {name: sign * error for name, sign in checkpoint_choice.TERMS.items()} | {"composite": composite}
        rows.append(",".join(str(value) for value in (error, *terms.values())))
    (folder / "validation.csv").write_text("\n".join(rows))
    return folder


def test_ranks_and_excess_of_each_run_are_summarised(tmp_path, capsys):
    same = run(tmp_path / "same", [30.0, 20.0, 25.0], [3.0, 1.0, 2.0])
    reversed_ = run(tmp_path / "reversed", [10.0, 11.0, 12.0], [3.0, 2.0, 1.0])
    checkpoint_choice.main([str(same), str(reversed_)])
    printed = capsys.readouterr().out
    assert "| composite | 0.00 | -1.00 | 1.00 | 10.0% | 0.0% | 20.0% |" in printed
    assert "| mutual_information | 1.00 | 1.00 | 1.00 | 0.0% | 0.0% | 0.0% |" in printed
    assert "| the last checkpoint |  |  |  | 22.5% | 20.0% | 25.0% |" in printed
    assert "2 runs of 3 to 3 validations each." in printed


def test_runs_that_cannot_be_judged_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"has no validation\.csv; name folders that kerasgan train wrote"):
        checkpoint_choice.main([str(tmp_path)])
    short = run(tmp_path / "short", [2.0, 1.0], [2.0, 1.0])
    with pytest.raises(SystemExit, match=r"has 2 validations .* needs three or more"):
        checkpoint_choice.main([str(short)])
