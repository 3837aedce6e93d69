import json
import shutil


def audit(percuss, images, factory, out, *more):
    sizes = ("--attack", "fgsm,noise", "--budget", "linf=1/255,8/255", "--allow-code", "--quiet")
    done = percuss("audit", "--data", images, "--model", factory, "--out", out, *sizes, *more)
    assert done.exit_code == 0, done.stderr


def test_table_page_and_json(percuss, images, factory, tmp_path):
    audit(percuss, images, factory, tmp_path / "a")
    audit(percuss, images, factory, tmp_path / "b", "--seed", "1")
    done = percuss("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "ab")
    assert done.exit_code == 0, done.stderr
    assert "a and b on the same 12 images" in done.stdout and "p (McNemar)" in done.stdout
    assert (tmp_path / "ab" / "compare.html").exists()
    done = percuss("compare", tmp_path / "a", tmp_path / "b", "--json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "ab" / "results.json").read_text())
    for name in "ab":
        shutil.copytree(tmp_path / name, tmp_path / f"{name}-again")
    four = [tmp_path / name for name in ("a", "a-again", "b", "b-again")]
    done = percuss("compare", *four, "--pooled")
    assert done.exit_code == 0 and "Over 2 seeds, first kind minus second" in done.stdout, done.stderr
    assert "first kind minus second, over all seeds" in done.stdout
    done = percuss("compare", tmp_path / "a")
    assert done.exit_code == 2 and "two runs or more" in done.stderr
