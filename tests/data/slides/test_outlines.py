"""Outlines of ASAP and ImageScope: read, checked, fitted, and rasterised to cells against shapely's own areas."""

from types import SimpleNamespace

import numpy as np
import pytest

from percuss.core.errors import DataError, PercussError

shapely = pytest.importorskip("shapely")

from percuss.data.slides.cells import UNJUDGED, cells, covered  # noqa: E402
from percuss.data.slides.drawn import read_groups  # noqa: E402
from percuss.data.slides.outlines import fit, from_polygons, read_outlines  # noqa: E402


def asap(*items):
    """ASAP XML of (group, points, type)."""
    found = []
    for number, (group, points, *kind) in enumerate(items):
        corners = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(points))
        found.append(f'<Annotation Name="A{number}" Type="{kind[0] if kind else "Polygon"}" PartOfGroup="{group}">'
                     f"<Coordinates>{corners}</Coordinates></Annotation>")  # fmt: skip
    return f"<?xml version='1.0'?><ASAP_Annotations><Annotations>{''.join(found)}</Annotations></ASAP_Annotations>"


def imagescope(*layers):
    """ImageScope XML of (name, id, [(points, type, negative)])."""
    found = []
    for name, number, regions in layers:
        inner = "".join(
            f'<Region Id="{i}" Type="{kind}" NegativeROA="{negative}"><Vertices>'
            + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in points) + "</Vertices></Region>"
            for i, (points, kind, negative) in enumerate(regions)
        )  # fmt: skip
        found.append(f'<Annotation Id="{number}" Name="{name}"><Regions>{inner}</Regions></Annotation>')
    return f'<Annotations MicronsPerPixel="0.25">{"".join(found)}</Annotations>'


def square(x, y, side):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


@pytest.fixture
def saved(tmp_path):
    def write(text, name="slide.xml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


BOW = [(0, 0), (10, 10), (10, 0), (0, 10)]


def test_groups_of_camelyon_are_tumour_and_cut_out(saved):
    found = read_outlines(saved(asap(("_0", square(0, 0, 10)), ("_1", square(20, 0, 10)), ("_2", square(2, 2, 4)))))
    assert found.tumour.area == 200 and found.cut_out.area == 16 and found.region.area == 184


@pytest.mark.parametrize("group", ["Tumor", "tumor", "metastases"])
def test_other_names_of_tumour(saved, group):
    path = saved(asap((group, square(0, 0, 10)), ("Exclusion", square(0, 0, 5))))
    assert read_outlines(path).region.area == 75


def test_unknown_group_is_named_with_the_known_ones_and_can_be_declared(saved):
    path = saved(asap(("Tumor", square(0, 0, 10)), ("Stroma", square(20, 20, 4))))
    with pytest.raises(DataError) as error:
        read_outlines(path)
    assert error.value.value == "Stroma" and "_2" in error.value.allowed and "--group" in error.value.next_step
    assert read_outlines(path, groups=read_groups(["Stroma=ignore"])).region.area == 100
    assert read_outlines(path, groups=read_groups(["Stroma=tumour"])).region.area == 116
    assert read_outlines(path, groups=read_groups(["Tumor=ignore", "Stroma=tumour"])).region.area == 16
    for wrong in (["Stroma"], ["Stroma=lesion"], ["Stroma=ignore", "Stroma=tumour"]):
        with pytest.raises(DataError):
            read_groups(wrong)


def test_points_follow_their_order(saved):
    text = asap(("_0", square(0, 0, 10))).replace('Order="1"', 'Order="9"')
    with pytest.raises(DataError, match="crosses itself"):  # the second corner last: a bow
        read_outlines(saved(text))


def test_what_has_no_area_is_left_out_with_a_note(saved):
    found = read_outlines(saved(asap(("_0", square(0, 0, 4)), ("_0", [(1, 1)], "Dot"), ("_0", [(1, 1), (2, 2)]))))
    assert found.region.area == 16 and len(found.notes) == 2
    with pytest.raises(DataError, match="unknown type"):
        read_outlines(saved(asap(("_0", square(0, 0, 4), "Cloud"))))


def test_self_crossing_is_refused_or_mended_with_a_note(saved):
    path = saved(asap(("_0", BOW)))
    with pytest.raises(DataError) as error:
        read_outlines(path)
    assert "A0" in str(error.value) and "[5 5]" in str(error.value) and "--mend" in str(error.value)
    found = read_outlines(path, mend=True)
    assert found.region.area == pytest.approx(50) and found.mended == 1 and "every loop" in found.notes[0]


def test_touching_itself_is_no_crossing(saved):
    touching = [(0, 0), (10, 0), (10, 10), (5, 0), (0, 10)]  # the fourth corner lies on the first side
    assert read_outlines(saved(asap(("_0", touching)))).region.area == 50
    twice = [*square(0, 0, 10), (0, 0), (5, 0), (5, 5), (0, 5)]  # a part of it run round twice
    with pytest.raises(DataError, match="crosses itself"):
        read_outlines(saved(asap(("_0", twice))))
    assert read_outlines(saved(asap(("_0", twice))), mend=True).region.area == 100


def test_imagescope_layers_holes_and_shapes(saved):
    regions = [(square(0, 0, 10), 0, 0), (square(2, 2, 4), 0, 1), ([(20, 20), (30, 30)], 1, 0),
               ([(40, 40), (60, 50)], 2, 0), ([(0, 0), (90, 90)], 4, 0)]  # fmt: skip
    path = saved(imagescope(("Tumor", 1, regions)))
    found = read_outlines(path)
    assert found.region.area == pytest.approx(100 - 16 + 100 + np.pi * 50, rel=1e-3)
    assert "ruler" in found.notes[0]
    nameless = saved(imagescope(("", 1, regions[:1])), "nameless.xml")
    with pytest.raises(DataError, match="1=tumour"):
        read_outlines(nameless)
    assert read_outlines(nameless, groups={"1": "tumour"}).region.area == 100
    with pytest.raises(DataError, match="unknown type"):
        read_outlines(saved(imagescope(("Tumor", 1, [([(0, 0), (1, 1)], 9, 0)])), "odd.xml"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<a>",
        "<ASAP_Annotations><Annotations>",
        "<html/>",
        asap(("_0", [("nan", 0), (1, 1), (2, 0)])),
        '<!DOCTYPE x [<!ENTITY e "boom">]><ASAP_Annotations>&e;</ASAP_Annotations>',
    ],
)
def test_damaged_and_hostile_files(saved, text):
    with pytest.raises(DataError):
        read_outlines(saved(text))
    with pytest.raises(DataError, match="cannot be opened"):
        read_outlines("absent.xml")


def test_outline_outside_the_slide_or_partly(saved):
    outside = read_outlines(saved(asap(("_0", square(0, 0, 10)), ("_0", square(500, 700, 10)))))
    with pytest.raises(DataError, match="outside the slide: around column 505, row 705"):
        fit(outside, height=400, width=300)
    partly = read_outlines(saved(asap(("_0", square(290, 0, 20)))))
    found = fit(partly, height=400, width=300)
    assert found.region.area == 200 and "50.0% of its area cut off" in found.notes[0]
    assert fit(outside, height=1000, width=1000) is outside


def shapely_shares(region, scale, row, column, side, cell):
    """The same shares by intersecting each cell on its own."""
    count, unit = side // cell, cell * scale
    left = column * scale + np.arange(count) * unit
    top = row * scale + np.arange(count)[:, None] * unit
    boxes = shapely.box(left[None, :], top, left[None, :] + unit, top + unit)
    return shapely.area(shapely.intersection(boxes, region)) / unit**2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1.0, 4.1152, 0.7])
def test_shares_of_cells_are_exact(seed, scale):
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    radius = rng.uniform(10, 45, (3, 40)) * scale
    centre = rng.uniform(0, 64, (3, 2)) * scale
    stars = [
        shapely.Polygon(c + r[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)).buffer(0)
        for c, r in zip(centre, radius, strict=True)
    ]
    found = from_polygons(shapely.union_all(stars[:2]), stars[2].buffer(-8 * scale), source="stars")
    view = SimpleNamespace(scale=scale)
    for row, column in ((0, 0), (-16, 8), (int(rng.integers(40)), int(rng.integers(40)))):
        mine = covered(found, view, (row, column), side=48, cell=4)
        assert mine == pytest.approx(shapely_shares(found.region, scale, row, column, 48, 4), abs=1e-9)


def test_unjudged_is_the_value_that_nobody_judges():
    from percuss.core.dense import IGNORE

    assert UNJUDGED == IGNORE


def test_rules_and_edges_of_cells():
    view = SimpleNamespace(scale=1.0)
    half = from_polygons(shapely.box(0, 0, 2, 4), shapely.Polygon(), source="half")
    assert cells(half, view, 0, 0, 8).tolist() == [[1, 0], [0, 0]]
    less = from_polygons(shapely.box(0, 0, 1.99, 4), shapely.Polygon(), source="less")
    assert cells(less, view, 0, 0, 8).sum() == 0 and cells(less, view, 0, 0, 8, rule="any").sum() == 1
    grid = from_polygons(shapely.box(4, 4, 8, 12), shapely.Polygon(), source="on the grid")
    for row, column in (
        (0, 8),
        (0, 4),
        (4, 4),
        (-4, 8),
        (8, 0),
        (8, 4),
        (8, 8),
        (4, -12),
    ):  # edges of tiles on its edges
        inside = np.zeros((40, 40), int)
        inside[16:24, 16:20] = 1  # the same box 12 to the right and below
        wanted = inside[row + 12 : row + 20 : 4, column + 12 : column + 20 : 4]
        assert cells(grid, view, row, column, 8).tolist() == wanted.tolist(), (row, column)
    for rule in ("half", "any"):
        assert cells(grid, view, 0, 0, 16, rule=rule).tolist() == [[0] * 4, [0, 1, 0, 0], [0, 1, 0, 0], [0] * 4]
    assert cells(from_polygons(shapely.Polygon(), shapely.Polygon(), source="none"), view, 0, 0, 8).sum() == 0
    with pytest.raises(PercussError):
        cells(grid, view, 0, 0, 10)
    with pytest.raises(DataError):
        cells(grid, view, 0, 0, 8, rule="most")


@pytest.mark.real
def test_real_nuclei_of_imagescope(real_data):
    path = real_data / "wsi" / "monuseg_TCGA-B0-5698-01Z-00-DX1.xml"
    with pytest.raises(DataError, match="1=tumour"):
        read_outlines(path)
    with pytest.raises(DataError, match="crosses itself"):
        read_outlines(path, groups={"1": "tumour"})
    found = fit(read_outlines(path, groups={"1": "tumour"}, mend=True), height=1000, width=1000)
    assert len(shapely.get_parts(found.region)) > 300 and found.mended > 100
    mine = covered(found, SimpleNamespace(scale=2.0), (0, 0), side=160, cell=4)
    assert mine == pytest.approx(shapely_shares(found.region, 2.0, 0, 0, 160, 4), abs=1e-6)


@pytest.mark.real
def test_real_mosaic_agrees_with_its_table(real_data):
    folder = real_data / "wsi"
    found = fit(read_outlines(folder / "mosaic_pcam_synthetic_layout.xml"), height=2688, width=2688)
    table = np.genfromtxt(folder / "mosaic_pcam_cells.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    truth = np.zeros((28, 28), int)
    truth[table["row"], table["col"]] = table["label"]
    mine = cells(found, SimpleNamespace(scale=1.0), 0, 0, 2688, cell=4)
    assert np.array_equal(mine, np.kron(truth, np.ones((24, 24), int)))
