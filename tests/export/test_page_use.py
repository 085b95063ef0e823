"""What a visitor sees and does on the page in the browser: keys, wheel, finger, names and places."""

import re

import pytest
from made_up_series import head, pixels, write_series
from playwright.sync_api import expect

from kerasgan.export.card import LIMITS
from kerasgan.translation.translate import translate

MODEL = "model/model.tflite"  # in the folder of a page


def test_the_keyboard_reaches_all_and_all_have_names(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    assert visitor.open(*write_series(tmp_path / "source", head((5, 24, 22))).iterdir()) == ""
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert (
            page.evaluate(
                "getComputedStyle(document.activeElement.closest('.button') ?? document.activeElement).outlineStyle"
            )
            != "none"
        )
    windows = ["source", "source-level", "source-width", "target", "target-level", "target-width", "preset"]
    assert reached == ["skip", "folder", "files", "example", *windows, "slice", "save-nifti", "save-dicom", "SUMMARY"]
    assert page.get_by_role("slider", name="Slice", exact=True).get_attribute("aria-valuetext") == "3 of 5"
    for role, name in (("button", "Choose a folder"), ("button", "Choose files"), ("region", "Open a scan")):
        assert page.get_by_role(role, name=name).count() == 1
    assert page.get_by_role("application", name=re.compile("^(MR|CT), axial slice 3; row")).count() == 2
    assert page.get_by_role("group", name="Window of the source").get_by_role("spinbutton").count() == 2


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)])
def test_images_and_slider_are_in_one_view(visit, site, tmp_path, size):
    phone = {"has_touch": True, "is_mobile": True} if size[0] < 500 else {}
    page = (visitor := visit(site, viewport=dict(zip(("width", "height"), size, strict=True)), **phone)).page
    assert visitor.open(*write_series(tmp_path / "source", head((9, 24, 22))).iterdir()) == ""
    boxes = [page.locator(place).bounding_box() for place in ("#source", "#target", "#slice")]
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= size[1] for box in boxes)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= size[0] for box in boxes)
    assert min(box["width"] for box in boxes) > 150 and page.evaluate("document.body.scrollWidth") <= size[0]


def test_the_wheel_turns_the_slices_and_then_the_page(visit, site, tmp_path):
    page = (visitor := visit(site, viewport={"width": 1366, "height": 768})).page
    assert visitor.open(*write_series(tmp_path / "source", head((3, 24, 22))).iterdir()) == ""
    page.hover("#source")
    for turned, number in ((100, "3 of 3"), (-100, "2 of 3"), (-15, "2 of 3"), (-30, "1 of 3")):
        page.mouse.wheel(0, turned)
        page.wait_for_timeout(100)
        expect(page.locator("#slice-number")).to_have_text(number)
    page.click("summary")
    page.evaluate("scrollTo(0, 80)")
    page.hover("#source")
    page.mouse.wheel(0, -100)
    expect(page.locator("h1")).to_be_in_viewport(ratio=1)


def test_a_finger_moves_the_cross_and_the_slice(visit, site, tmp_path):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = (visitor := visit(site, **phone)).page
    assert visitor.open(*write_series(tmp_path / "source", head((9, 24, 22))).iterdir()) == ""
    level, box = page.input_value("#target-level"), page.locator("#target").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.23, box["y"] + box["height"] * 0.4)
    assert re.search("slice 5; row 10, column 6:", page.get_attribute("#target", "aria-label"))
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, to in (("touchStart", x), ("touchMove", x + 30), ("touchMove", x + box["width"] / 8), ("touchEnd", None)):
        points = [{"x": to, "y": y}] if to else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator("#slice-number")).to_have_text("8 of 9")
    assert page.input_value("#target-level") == level, "a finger does not change the window"


def test_keys_move_the_cross_and_the_value_under_it_is_read_out(visit, site, tmp_path):
    source = write_series(tmp_path / "source", head((5, 24, 22)))
    translate(site / MODEL, source, tmp_path / "package")
    page = (visitor := visit(site)).page
    assert visitor.open(*source.iterdir()) == ""
    page.focus("#target")
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    label = page.get_attribute("#target", "aria-label")
    slice_, row, column, hu = map(int, re.findall(r"-?\d+", label))
    assert (slice_, row, column) == (4, 11, 13)
    assert abs(hu - pixels(tmp_path / "package")[3, 10, 12]) <= 1
    assert page.inner_text("#source-value") == f"{head((5, 24, 22))[3, 10, 12] / 2:.1f}"
    assert page.inner_text("#slice-number") == "4 of 5"
    page.click("summary")
    for text in ("not for diagnosis", "add or remove lesions", "hiasa2018", "-1000 to 1600 HU", *LIMITS):
        assert text in page.inner_text("body")


def test_what_is_said_and_shown_while_scans_come_and_go(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "folder", "there are no images to skip to yet"
    page.evaluate("""() => {
        const status = document.getElementById('status');
        window.said = [];
        new MutationObserver(() => window.said.push(status.textContent)).observe(status, {childList: true});
    }""")
    source = write_series(tmp_path / "source", head((5, 24, 22)))
    assert visitor.open(*source.iterdir()) == ""
    said = page.evaluate("window.said")
    assert said[:2] == ["Reading 5 files.", "Translating 7, 5 slices of 24 x 22."]
    assert len(said) == 3 and said[2].startswith("7, 5 slices of 24 x 22 translated, "), "a screen reader reads it out"
    assert page.inner_text("#source-name") == "MR: 7"
    assert page.inner_text("#series") == "MR series 7: 5 slices of 24 x 22, 1.5 x 2 x 3 mm"
    assert "Some" not in page.inner_text("body"), "no name of a patient"
    page.focus("#skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "source"
    (tmp_path / "notes.txt").write_text("no scan")
    error = visitor.open(tmp_path / "notes.txt")
    assert error.endswith(" The images below are still those of 7.") and page.is_visible("#viewer")


def test_a_preset_is_named_only_while_it_is_the_window(visit, site, tmp_path):
    page = (visitor := visit(site)).page
    visitor.open(*write_series(tmp_path / "source", head((2, 24, 22))).iterdir())
    assert page.input_value("#preset") == "40 400"
    page.select_option("#preset", "400 1800")
    assert (page.input_value("#target-level"), page.input_value("#target-width")) == ("400", "1800")
    page.fill("#target-level", "41")
    assert page.input_value("#preset") == ""
