import json

from kerasgan.config import Component, Distillation
from kerasgan.export.card import model_card
from kerasgan.export.serving_contract import serving_contract
from kerasgan.files import file_digest


def card(run):
    return model_card(run, "mr2ct, version 3", serving_contract(run, "mr2ct", 3).directions)


def test_what_a_user_has_to_know(run):
    text = " ".join(card(run).split())
    assert text.startswith("# mr2ct, version 3: synthetic, not for diagnosis Synthetic images for research.")
    for word in (
        "Hiasa et al., SASHIMI 2018, https://arxiv.org/abs/1803.06629",
        "MR, 20 to 320 in arbitrary units",
        "CT, -1000 to 1600 HU",
        run.facts.fingerprint,
        "CC BY-NC 4.0",
        "pixels of 2 mm, trained at 32 x 32 pixels",
        "Not reported by the paper, and chosen here: - Adam's beta_1",
        "Deviations from the paper: - A dataset of another anatomy",
        "can add or remove lesions",
        "Not evaluated",
    ):
        assert word in text, word
    assert "quick run" not in text


def test_a_quick_run_says_so(run):
    run.recipe = run.recipe.model_copy(update={"quick": True})
    assert "**A quick run: it shows that everything works" in card(run)


def test_a_student_says_so_and_not_where_its_teacher_lies(run):
    assert "| student" not in card(run)
    teacher = Component(name="resnet", filters=64)
    distilled = Distillation(teacher="/home/someone/run", direction="ab", student="tiny", generator=teacher)
    run.recipe = run.recipe.model_copy(update={"distillation": distilled})
    assert "tiny, of direction ab, distilled from a trained resnet" in card(run) and "someone" not in card(run)


def test_figures_of_finished_evaluations_of_these_weights(run):
    summary = {"part": "test", "direction": "ab", "note": "", "scans": "", "definitions": {}, "methods": {}}
    own = json.dumps({**summary, "weights": file_digest(run.generator_path("ab"))})
    former = json.dumps({**summary, "weights": "of an earlier step"})
    for name, summary in (("evaluation", own), ("evaluation-ba", None), ("evaluation-old", former)):
        (run.path / name).mkdir()
        (run.path / name / "table.md").write_text(f"figures of {name}\n")
        if summary:
            (run.path / name / "summary.json").write_text(summary)
    (run.path / "evaluation-external").mkdir()
    (run.path / "evaluation-external/summary.json").write_text("{")
    text = card(run)
    assert "### evaluation\n\nfigures of evaluation\n" in text
    assert not any(name in text for name in ("evaluation-ba", "evaluation-old", "evaluation-external", "Not evaluated"))


def test_counts_of_patients_but_no_keys(run):
    text = card(run)
    assert "1 of a and 1 of b" in text and "2 of a and 2 of b" in text
    for domains in run.split().values():
        assert not any(key in text for part in domains.values() for key in part)


def test_a_dataset_file_is_named_without_its_folder(run):
    run.facts = run.facts.model_copy(update={"dataset": "/home/someone/clinic.py"})
    assert "| clinic " in card(run) and "someone" not in card(run)
