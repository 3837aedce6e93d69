"""The page on sparse codes: its code runs, block after block."""

import percuss


def test_the_code_of_the_page_runs(root, check, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiles = percuss.load_data("synthetic:tissue?n=12&size=48&patients=3&mpp=0.97", split=None).tensors()[0]
    names = {"__name__": "page", "tiles": tiles, "path": tmp_path / "state.safetensors"}
    blocks = [block for block in check("docs").blocks((root / "docs" / "lca.md").read_text()) if block.kind == "python"]
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block.body, "docs/lca.md", "exec"), names)
    assert bool(names["info"].backward.converged.all()) and names["strongest"] and names["sheet"].any()
    assert (names["nearby"] - names["code"]).abs().max() < 1
