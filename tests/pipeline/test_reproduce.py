"""Recipes: a small study end to end, gone on with, wrong files named, the two protocols told apart."""

import json
import shutil
from pathlib import Path

import pytest

from percuss.core.errors import RunError, UsageError
from percuss.core.recipe import StudyResults
from percuss.pipeline import recipe_steps
from percuss.pipeline.progress import Progress
from percuss.pipeline.recipe import open_recipe, put_in, read_recipe, recipe_names, spread, values_of
from percuss.pipeline.recipe_cells import look_up, shown
from percuss.pipeline.reproduce import data_sets, reproduce

HERE = Path(__file__).parent / "tiny"
TINY = (HERE / "tiny.toml").read_text(encoding="utf-8")


class Said(Progress):
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the tiny recipe and the module of its network, importable while the tests run."""
    home = tmp_path_factory.mktemp("recipe")
    for name in ("tiny_network.py", "tiny.toml"):
        shutil.copy(HERE / name, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        # Explanations have their own tests; here they stand for a block that is not there.
        patch.setitem(recipe_steps._RUNNERS, "explain", recipe_steps._within("absent", "explain_run"))
        yield home


def run(home, out, **options):
    return reproduce(str(home / "tiny.toml"), out=out, allow_code=True, threads=1, **options)


@pytest.fixture(scope="module")
def done(home, tmp_path_factory):
    return run(home, tmp_path_factory.mktemp("done") / "run", quick=True)


@pytest.fixture(scope="module")
def as_published(home, tmp_path_factory):
    return run(home, tmp_path_factory.mktemp("paper") / "run", quick=True, protocol="paper")


def test_tables_stand_beside_the_published_ones(done):
    (table,) = done.results.tables
    clean = json.loads((done.path / "attack" / "results.json").read_text())["clean"]["accuracy"]["value"]
    assert table.columns == ("attack", "size", "accuracy") and table.words == 2
    assert table.rows[0] == ("clean", "0", clean)
    assert [row[:2] for row in table.rows[1:]] == [("fgsm", "linf=2/255"), ("fgsm", "linf=32/255")]
    assert all(isinstance(row[2], float) for row in table.rows)
    assert table.published.rows == (("75.41",), ("–",), ("31.12",)) and table.published.source == "Table 1"
    page = done.report.read_text()
    for text in ("published: CT", "75.41", "Other images.", "The sea.", "A quick run", 'href="attack/report.html"'):
        assert text in page
    assert "<svg" in page and "75.41" in done.tables[0].text()


def test_results_keep_to_their_schema(done):
    content = json.loads((done.path / "results.json").read_text())
    assert StudyResults.model_validate(content) == done.results
    assert set(content["tables"][0]) >= {"id", "title", "columns", "rows", "published"}
    assert content["values"]["epochs"] == 1 and content["quick"]


def test_an_optional_step_is_left_out_with_its_reason(done):
    states = {step.id: (step.state, step.reason) for step in done.results.steps}
    assert states["train"][0] == states["attack"][0] == "done"
    assert states["explain"][0] == "left out" and "building block is not there" in states["explain"][1]


def test_a_finished_step_is_not_done_again(home, done, tmp_path, monkeypatch):
    path, said = shutil.copytree(done.path, tmp_path / "run"), Said()
    (path / "results.json").unlink()
    shutil.rmtree(path / "attack")
    monkeypatch.setitem(recipe_steps._RUNNERS, "train", None)  # calling it would fail
    again = run(home, path, quick=True, progress=said)
    assert again.results.tables == done.results.tables
    assert "train was finished before" in said.lines and "attack was finished before" not in said.lines
    assert any(str(path / "attack") in line for line in said.lines)


def test_another_study_is_refused(home, done, tmp_path):
    path = shutil.copytree(done.path, tmp_path / "run")
    with pytest.raises(RunError, match="another run"):
        run(home, path, quick=True, seed=1)


def test_the_published_protocol_floors_at_the_clean_error(done, as_published):
    """With two classes a flip of a wrong decision is right: at a large size only those are right."""
    (floor,) = [item for item in as_published.results.findings if item.id == "floor-at-clean-error"]
    assert not any(item.id == "floor-at-clean-error" for item in done.results.findings)
    error = 1 - done.results.tables[0].rows[0][2]
    assert error > 0 and floor.evidence["clean_error"] == pytest.approx(error)
    published, corrected = as_published.results.tables[0].rows[-1][2], done.results.tables[0].rows[-1][2]
    assert corrected == 0 and published == pytest.approx(error)
    assert "floor-at-clean-error" in as_published.report.read_text()
    assert [row[1] for row in as_published.results.tables[0].rows] == ["0", "linf=32/255"]


def test_several_data_sets_make_columns_of_their_own(home, tmp_path):
    set_ = "synthetic:tissue?n=24&size=48&patients=6&mpp=1"
    found = run(home, tmp_path / "run", data=[f"ct={set_}", f"mri={set_}&seed=1"], settings={"epochs": 1})
    assert found.results.tables[0].columns == ("attack", "size", "accuracy, ct", "accuracy, mri")
    assert (tmp_path / "run" / "mri" / "attack" / "report.html").exists()


def test_names_of_data_sets():
    assert data_sets(["folder:a?split=0.5,0.2,0.3"]) == {"images": "folder:a?split=0.5,0.2,0.3"}
    assert data_sets(["ct=lidc:x", "mnist:y"]) == {"ct": "lidc:x", "mnist": "mnist:y"}
    with pytest.raises(UsageError, match="same name"):
        data_sets(["csv:a", "csv:b"])


def test_unknown_names():
    with pytest.raises(UsageError, match="unknown recipe: footee.*foote"):
        open_recipe("footee")
    with pytest.raises(UsageError, match="no value: epoch.*epochs"):
        values_of(open_recipe("foote"), protocol="corrected", quick=False, given={"epoch": 3})


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('kind = "audit"', 'kind = "adit"', "steps.1.kind"),
        ('on = ["train"]', 'on = ["trian"]', "steps.1.on"),
        ('"$epochs"', '"$epoch"', "steps.0.options"),
        ("attack: clean", "atack: clean", "tables.0.rows.0.cells"),
        ('["attack: clean > accuracy | share"]', "[]", "tables.0.rows.0.cells"),
        ('title = "A tiny study"', "", "title"),
        ('name = "tiny"', "name = tiny", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path, old, new, key):
    path = tmp_path / "mine.toml"
    assert old in TINY
    path.write_text(TINY.replace(old, new, 1))
    with pytest.raises(UsageError, match=r"recipe mine\.toml") as caught:
        read_recipe(path)
    assert key in str(caught.value)


@pytest.mark.parametrize("name", sorted(recipe_names()))
@pytest.mark.parametrize("protocol", ["corrected", "paper"])
@pytest.mark.parametrize("quick", [True, False])
def test_recipes_that_ship_fit_their_blocks(name, protocol, quick):
    """Every option is one that its block takes, and every published row is a row of the table in full."""
    recipe = open_recipe(name)
    values = values_of(recipe, protocol=protocol, quick=quick, given={})
    known = values | {"first_class": "normal", "last_class": "tumour", "seed": 0, "protocol": protocol}
    for step in recipe.steps:
        for one in spread(step, known):
            assert "$" not in str(one.options) and "{" not in one.id
            recipe_steps.check_options(one)


def test_reading_options_are_set_and_taken_off():
    assert recipe_steps.reread("csv:a.csv?size=8&sharpen=yes", {"sharpen": "", "stretch": ""}) == "csv:a.csv?size=8"
    assert recipe_steps.reread("csv:a.csv", {"stretch": "yes", "sharpen": "yes"}) == "csv:a.csv?sharpen=yes&stretch=yes"
    assert recipe_steps.reread("csv:a.csv?b=1&a=2", {}) == "csv:a.csv?b=1&a=2"


def test_values_and_paths():
    assert put_in({"a": "$b", "c": "x", "d": ["$e", "f"]}, {"b": "default", "e": [1, 2]}) == {
        "c": "x",
        "d": [1, 2, "f"],
    }
    content = {"rows": [{"a": 1, "b": "x", "v": 2.0}, {"a": 1, "b": "y", "v": 3.0}], "s": {"mean": 0.89, "sd": 0.014}}
    assert look_up(content, "rows[a=1, b=y] > v") == 3.0 and look_up(content, "rows[1] > b") == "y"
    assert look_up(content, "rows[a=2] > v") is None and look_up(content, "no > way") is None
    assert shown(content["s"], "number") == (0.89, "0.890 ± 0.014")
