"""The page that holds a report: text, tables and pictures."""

import re

from kerasgan.pictures.html import LONG, Picture, Row, Section, Table, page


def test_text_is_escaped_and_long_tables_are_folded(tmp_path):
    rows = [("a<b", "x & y"), *((f"row {n}", str(n)) for n in range(LONG + 1))]
    text = page("T < U", [], [Section("S", (), [Table("long", rows)])])
    assert "a&lt;b" in text and "x &amp; y" in text and "T &lt; U" in text
    assert "<details><summary>long: 17 rows</summary>" in text


def test_picture_becomes_part_of_the_page(tmp_path):
    (tmp_path / "x.png").write_bytes(b"abc")
    text = page("T", [], [Section("S", (), [Picture("caption", tmp_path / "x.png", 'it "shows"')])])
    assert 'alt="it &quot;shows&quot;" src="data:image/png;base64,YWJj"' in text


def test_nothing_that_a_file_says_becomes_markup(tmp_path):
    """Every field of a page, as a stranger's run could fill it."""
    bad = '<script>alert("x")</script>'
    (tmp_path / "x.png").write_bytes(b"abc")
    picture = Picture(bad, tmp_path / "x.png", bad)
    section = Section(bad, [bad], [Table(bad, [(bad, bad), (bad, bad)], [bad]), picture, Row([picture])])
    text = page(bad, [bad], [section])
    assert "<script" not in text and '"x"' not in text and text.count("&lt;script&gt;") == 16


def test_pictures_side_by_side(tmp_path):
    (tmp_path / "x.png").write_bytes(b"abc")
    pictures = [Picture(name, tmp_path / "x.png", name) for name in ("one", "two")]
    (row,) = re.findall(r'<div class="row">(.*?)</div>', page("T", [], [Section("S", (), [Row(pictures)])]))
    assert row.count("<figure>") == 2
