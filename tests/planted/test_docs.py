"""The docs check sees planted faults."""

import pytest


@pytest.mark.parametrize("link", ["[a](gone.md)", "![a](images/gone.png)", "[a](b.md#gone)", "[a](#gone)"])
def test_broken_link_is_seen(check, tmp_path, link):
    (tmp_path / "b.md").write_text("# There is one\n")
    page = tmp_path / "a.md"
    page.write_text(f"# A page\n{link} [b](b.md#there-is-one) [c](#a-page) [d](https://example.org)\n")
    assert len(check("docs").broken_links(page)) == 1


def test_missing_entry_is_seen(check, tmp_path):
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks" / "pgd.md").write_text("")
    (tmp_path / "attacks.md").write_text("# `fgsm`, one step\nbim is named in the text only\n")
    assert check("docs").without_page({"pgd", "fgsm", "bim"}, tmp_path / "attacks") == ["bim"]


def test_missing_option_is_seen(check):
    assert check("docs").missing({"--out", "--out-dir"}, "give `--out-dir`") == ["--out"]


def test_finding_ids_are_read(check, tmp_path):
    (tmp_path / "a.py").write_text('Finding("one-way", "info", "m")\nFinding(\n    "other-way", "info", "m")\n')
    assert check("docs").finding_ids(tmp_path) == {"one-way", "other-way"}


def test_unmarked_block_is_seen(check):
    text = "<!-- run -->\n```python\n1\n```\n\n```console\n$ percuss x \\\n  --y\n```\n"
    text += "<!-- not run: slow -->\n```python\n2\n```\n"
    docs = check("docs")
    assert docs.unmarked(text) == [6]
    assert docs.commands(docs.blocks(text)[1]) == ["percuss x    --y"]


def test_options_named_are_read(check):
    docs = check("docs")
    assert docs.options_named("give --task a,b; not a--b or -x (--no-ask-seen)") == {"--task", "--no-ask-seen"}
    assert docs.inline_code("a `--task x` b\n```\n--other\n```\n`y`") == "--task x\ny"
