"""Five hundred damaged scans; `mutants.py` reads as many as one likes."""

import pytest
from fuzz.mutants import outcomes


@pytest.mark.parametrize(("kind", "count"), [("dicom", 400), ("image", 60), ("series", 40)])
def test_a_damaged_scan_is_read_within_bounds_or_refused_in_one_line(kind, count, tmp_path):
    found = dict(outcomes(kind, range(count), tmp_path / "scans"))
    assert {number: outcome for number, outcome in found.items() if outcome not in ("scan", "refused")} == {}
    assert len(found) == count and set(found.values()) == {"scan", "refused"}
