"""`ad.show(..., file=...)`: the tape as a picture."""

import sys

import numpy as np
import pytest

import tinyad as ad
from tinyad.inspect import picture
from tinyad.inspect.recording import evaluate_recorded
from tinyad.inspect.tape_table import rows_of
from tinyad.inspect.walk import seeds_of, walk

BEGINS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".dot": b"digraph tape {"}


def network(params, x, labels):
    for layer in params:
        x = ad.tanh(x @ layer["K"].T + layer["b"])
    return ad.mean(ad.logsumexp(x, axis=1) - x[np.arange(4), labels])


def problem():
    rng = np.random.default_rng(0)
    params = [{"K": rng.standard_normal((3, 3)), "b": np.zeros(3)} for _ in range(3)]
    return network, params, rng.standard_normal((4, 3)), np.array([0, 1, 2, 0])


def drawn(f, *inputs, backward=False):
    """The graph of a function."""
    tape = evaluate_recorded(f, inputs)
    rows = rows_of(tape)
    return picture.graph_of(tape, rows, walk(tape, rows, seeds_of(tape, None))[0] if backward else [])


@pytest.mark.parametrize("suffix", BEGINS)
@pytest.mark.parametrize("backward", [False, True])
def test_pictures_are_written(suffix, backward, tmp_path):
    if suffix != ".dot":
        pytest.importorskip("igraph", reason="pictures need the extra picture")
        pytest.importorskip("matplotlib", reason="pictures need the extra picture")
    file = tmp_path / f"tape{suffix}"
    ad.show(*problem(), backward=backward, file=file)
    content = file.read_bytes()
    assert content.startswith(BEGINS[suffix]) and len(content) > 1000


def test_the_figure_of_what_was_shown():
    pytest.importorskip("igraph", reason="pictures need the extra picture")
    figure = ad.show(lambda a: a * a, 3.0, backward=True).figure()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(texts) == ["%1  multiply\n9", "a\n3", "↑ 3", "↑ 3"]


def test_each_kind_of_box():
    graph = drawn(lambda x, labels: ad.sum(x[labels] * 2.0), np.ones(3), np.array([0, 1]))
    assert [(box.lines[0], box.look) for box in graph.boxes] == [
        ("x", "input"), ("%1  getitem", "operation"), ("%2  multiply", "operation"), ("%3  sum", "result"),
        ("labels", "constant"), ("2.0", "constant"),
    ]  # fmt: skip
    assert graph.boxes[1].lines[1] == "float64[2]" and graph.boxes[3].lines[1] == "4"


def test_a_constant_argument_has_one_box_and_other_constants_have_their_own():
    graph = drawn(lambda x, m: ad.where(m, x, 1.0) + ad.where(m, 1.0, x), np.ones(2), np.array([True, False]))
    assert sorted(box.lines[0] for box in graph.boxes if box.look == "constant") == ["1.0", "1.0", "m"]


def test_edges_carry_cotangents():
    graph = drawn(lambda a: (a + a) * a, 3.0, backward=True)
    assert graph.edges == [(0, 1, "↑ 3"), (0, 1, "↑ 3"), (1, 2, "↑ 3"), (0, 2, "↑ 6")]
    graph = drawn(lambda x: ad.sum(x * np.ones(2)), np.ones((4, 2)), backward=True)
    assert [label for *_, label in graph.edges] == ["↑ (4, 2)", "", "↑ (4, 2)"]
    assert {label for *_, label in drawn(*problem()).edges} == {""}


def test_edges_with_the_same_ends_lean_apart():
    graph = drawn(lambda a: (a + a) * a, 3.0)
    direct = [[(0.0, 0.0), (0.0, 1.0)] for _ in graph.edges]
    assert picture._bows(graph, direct) == [-0.4, 0.4, 0.0, 0.0]
    assert picture._bows(graph, [[(0.0, 0.0), (0.5, 0.5), (0.0, 1.0)] for _ in graph.edges]) == 4 * [0.0]  # led apart already


def test_boxes_of_a_layer_are_pushed_apart_and_nothing_lies_outside():
    places = picture._apart([(0.0, 0.0), (0.5, 0.0), (5.0, 0.0), (0.1, 1.0)], 2.0)
    assert places == [(0.0, 0.0), (2.0, 0.0), (5.0, 0.0), (0.1, 1.0)]
    graph = drawn(lambda x: ad.exp(ad.sin(x)) * x * x, 1.5, backward=True)
    ways = [[(0.0, 0.0), (9.0, 1.0), (0.0, 2.0)] for _ in graph.edges]
    left, right = picture._extent(graph, [(0.0, 0.0)], ways, [0.0] * len(ways), 1.0)
    assert (left, right) == (-0.5, 9.0)
    _, right = picture._extent(graph, [(0.0, 0.0)], [[(0.0, 0.0), (1.0, 1.0)] for _ in ways], [1.0] * len(ways), 1.0)
    assert right >= 2.0  # a bow of 1 to the right of 1


def test_boxes_lie_above_what_uses_them():
    graph = drawn(*problem())
    layer = picture._layers(graph)
    assert all(layer[a] < layer[b] for a, b, _ in graph.edges)
    results = [k for k, box in enumerate(graph.boxes) if box.look == "result"]
    assert [layer[k] for k in results] == [max(layer)]
    biases = [k for k, box in enumerate(graph.boxes) if box.lines[0].endswith("['b']")]
    assert len({layer[k] for k in biases}) == 3  # each beside its own layer of the network


def test_boxes_do_not_overlap():
    pytest.importorskip("igraph", reason="pictures need the extra picture")
    graph = drawn(*problem(), backward=True)
    places, ways = picture._layout(graph, 2.0, 1.0)
    for k, (x, y) in enumerate(places):
        assert all(abs(x - u) > 1.99 for u, v in places[k + 1 :] if v == y)
    for (a, b, _), way in zip(graph.edges, ways, strict=True):
        assert way[0] == places[a] and way[-1] == places[b]


def test_quotes_in_a_file_for_graphviz(tmp_path):
    file = tmp_path / "tape.dot"
    ad.show(lambda p: ad.sum(p['"quoted"']), {'"quoted"': np.ones(2)}, file=file)
    assert r"""label="p['\"quoted\"']\nfloat64[2]",""" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("missing", ["igraph", "matplotlib"])
def test_without_the_extra(missing, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "matplotlib":
        pytest.importorskip("igraph", reason="pictures need the extra picture")
    with pytest.raises(ModuleNotFoundError, match=f"{missing}, which is not installed.*pip install"):
        ad.show(ad.sin, 1.0, file=tmp_path / "tape.png")
    ad.show(ad.sin, 1.0, file=tmp_path / "tape.dot")
