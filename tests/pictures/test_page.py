"""The page: where cells lie, what is always written on it, and that a file is whole or absent."""

import pytest

from kerasgan.errors import KerasganError
from kerasgan.pictures.page import Layout, Page
from kerasgan.text import NOT_FOR_DIAGNOSIS

LAYOUT = Layout(widths=[2.0, 1.0], heights=[1.0, 3.0], gaps=(0.5, 0.25), left=0.1, right=0.4, top=0.6, bottom=0.4)


def test_sizes_by_hand():
    assert LAYOUT.size == pytest.approx((0.1 + 3 + 0.5 + 0.4, 0.6 + 4 + 0.25 + 0.4))
    assert LAYOUT.corner(1, 1) == pytest.approx((0.1 + 2 + 0.5, 0.6 + 1 + 0.25))


def test_a_panel_fills_its_cell_or_stands_in_the_middle():
    width, height = LAYOUT.size
    box = Page(LAYOUT).panel(1, 0).get_position()
    assert (box.x0 * width, box.width * width) == pytest.approx((0.1, 2.0))
    assert ((1 - box.y1) * height, box.height * height) == pytest.approx((1.85, 3.0))
    narrow = Page(LAYOUT).panel(1, 0, width=1.0).get_position()
    assert (narrow.x0 * width, narrow.width * width) == pytest.approx((0.6, 1.0))


def test_every_page_says_that_it_is_not_for_diagnosis():
    page = Page(LAYOUT, "title", "quick run")
    assert [text.get_text() for text in page.figure.texts] == ["title", "quick run", NOT_FOR_DIAGNOSIS]


def test_a_page_that_cannot_be_drawn_leaves_the_former_file(tmp_path):
    path = tmp_path / "page.png"
    Page(LAYOUT).save(path)
    before = path.read_bytes()
    page = Page(LAYOUT)
    page.figure.savefig = lambda *_, **__: (_ for _ in ()).throw(OSError("No space left on device"))
    with pytest.raises(KerasganError, match=r"Cannot write .*page\.png: No space left"):
        page.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["page.png"]
