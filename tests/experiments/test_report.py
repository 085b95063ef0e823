"""A report from results that were made up: what it says, that it is one valid page, and how a browser takes it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_cells import finish, open_finished, table
from needed import program
from playwright.sync_api import sync_playwright

from kerasgan.experiments import compute, open_reproduction
from kerasgan.pictures.html import POLICY


@pytest.fixture(scope="module")
def report(experiment_file, hips, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "hiasa2018"
    return compute(open_finished(folder, experiment_file, hips, seeds=2))


@pytest.fixture(scope="module")
def content(report):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(report.with_suffix(".json").read_text(), parse_constant=refuse)


class Page(HTMLParser):
    """Collects start tags and checks that they are closed in order."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def test_the_papers_figures_stand_beside_ours(content):
    rows = table(content, "Error against the true CT")
    assert [row[5] for row in rows.values()] == ["gradients", *2 * ["-", "signed", "magnitude"], *3 * [""]]
    assert rows["without GC, small set"][1] == "30.233" and rows["signed GC, large set"][3] == "16.465"
    assert rows["GC of magnitudes, large set"][1] == "-"
    # Made up: 30, 2 less with the large set, 1 less with signed GC; patients 0, 1, 2, 3 on top.
    assert float(rows["signed GC, large set"][2].split()[0]) == pytest.approx(27 + 1.5, abs=0.15)
    _, *dice = table(content, "Dice of each structure, mean ± SD over patients").values()
    assert [row[1] for row in dice] == ["0.808", "0.883", "0.804", "0.669"]
    assert content["published"][0] == {"figure": ["mae_255", "none", "small"], "value": 30.233, "place": "Table 1"}


def test_published_differences_and_outcomes(content):
    rows = table(content, "Change of the MAE [0..255]")
    assert rows["signed GC, small set"][1] == "-0.45"  # 29.781 - 30.233
    assert rows["more patients, without GC"][1] == "-3.95"  # 26.283 - 30.233
    assert rows["more patients, without GC"][-1] == "as published"


def test_repetitions_are_averaged_for_each_patient(content):
    cells = content["cells"]
    ours = [cells[f"evaluate-none-small-seed{seed}"]["scores"]["p0"]["mae_255"] for seed in (0, 1)]
    assert table(content, "MAE of each patient [0..255]")["p0"][1] == f"{sum(ours) / 2:.2f}"


def figures(content, cells: str, metric: str) -> dict[str, float]:
    """A metric of each patient, mean over both repetitions; patients without one in either are left out."""
    rows = [content["cells"][f"{cells}-seed{seed}"]["scores"] for seed in (0, 1)]
    values = {patient: [scores[patient][metric] for scores in rows] for patient in rows[0]}
    return {patient: sum(own) / 2 for patient, own in values.items() if None not in own}


def change(content, cells: str, before: str, after: str, metric: str) -> float:
    """Mean over the patients that have both."""
    one, other = (figures(content, f"{cells}-{variant}", metric) for variant in (before, after))
    return float(np.mean([other[patient] - one[patient] for patient in one if patient in other]))


def test_mutual_information_and_dice_are_compared_by_patient(content):
    rows = table(content, "Change of the mutual information [nat]")
    expected = change(content, "evaluate", "none-large", "signed-large", "mutual_information")
    assert rows["signed GC, large set"][2].startswith(f"{expected:+.3f} [")
    rows = table(content, "Change of the Dice, pelvis")
    expected = change(content, "segment", "signed-small", "signed-large", "dice_pelvis")
    assert rows["more patients, signed GC"][2].startswith(f"{expected:+.3f} [")
    assert rows["GC of magnitudes, small set"][1] == "-"  # the paper's GC is the signed one
    rows = table(content, "Dice of each structure, mean ± SD over patients", "Segmentation")
    femur = list(figures(content, "segment-none-small", "dice_femur").values())
    assert len(femur) == 3 and rows["femur"][2] == f"{np.mean(femur):.3f} ± {np.std(femur, ddof=1):.3f}"


def test_cross_validation_counts_every_patient_once(content):
    folds = [content["cells"][f"fold{fold}"]["scores"] for fold in range(5)]
    dice = [row["dice_pelvis"] for scores in folds for row in scores.values()]
    assert len({patient for scores in folds for patient in scores}) == len(dice) == 20
    row = table(content, "Dice of each structure, mean ± SD over patients", "One modality alone")["pelvis"]
    assert row[1] == f"{np.mean(dice):.3f} ± {np.std(dice, ddof=1):.3f}"


def test_the_command_is_the_users_own(content, experiment_file):
    assert content["command"].startswith(
        f"kerasgan reproduce {experiment_file} --dataset phantom_pelvis --scale laptop"
    )


def test_data_settings_definitions_and_versions(content):
    assert len(content["data_fingerprint"]) == 64 and content["seeds"] == 2
    [mae] = [entry for entry in content["definitions"] if entry["figure"] == "mae_255"]
    assert mae["definition"].startswith("Mean absolute error over the body mask") and len(mae["cells"]) == 12
    assert table(content, "Software")["tensorflow"] == ["tensorflow", "2"]
    assert table(content, "Software")["precision of the trainings"][1] == "float32, mixed_bfloat16"
    assert any("beta_1" in text for text in table(content, "Not reported by the paper, and chosen here"))


def test_the_page_holds_everything_itself(report):
    page = Page(report.read_text())
    assert not page.all("script", "link", "iframe", "object")
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert all(link["href"].startswith(("#", "https://")) for link in page.all("a"))
    assert [policy["content"] for policy in page.all("meta") if "http-equiv" in policy] == [POLICY]


def test_the_page_can_be_used_without_eyes_or_mouse(report):
    page = Page(report.read_text())
    assert ("html", {"lang": "en"}) in page.tags
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1
    assert len(page.all("caption")) == len(page.all("table")) > 10
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    assert all(len(image["alt"]) > 10 for image in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = [link["href"][1:] for link in page.all("a") if link["href"].startswith("#")]
    wanted += [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(wanted) <= set(ids)


def test_no_patient_id(report):
    for path in (report, report.with_suffix(".json")):
        assert "901_S_" not in path.read_text()


def test_one_test_patient(experiment_file, hips, tmp_path):
    opened = open_reproduction(str(experiment_file), data_dir=hips, out=tmp_path / "out")
    finish(opened, patients=1)
    text = compute(opened).read_text()
    assert "Fewer than two patients have both figures" in text and "Wilcoxon" not in text


@pytest.fixture(scope="module")
def browser():
    path = program("chromium", "chromium-browser", "google-chrome", package="chromium")
    with sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(browser, report, scheme):
    page = browser.new_page(color_scheme=scheme, viewport={"width": 900, "height": 700})
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(report.as_uri())
    assert {url for url in requests if not url.startswith("data:")} == {report.as_uri()}
    assert not messages
    assert page.get_by_role("table").count() > 10
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")  # wide tables scroll alone
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(16, 19, 23)")
