"""The assignment *backward by hand*, for the teacher: what is graded, at which inputs, for how many points.

``ops.py`` beside this file is the solution; the students' copy is made of it by ``tinyad assign build``. Forward is given, so
that it earns nothing by itself, but who changes it loses the gradients, which are compared with those of the forward here.
"""

import numpy as np
import ops

import tinyad.grade as tg

hw = tg.Assignment("backward by hand", points=20, seed=2026, feedback="hint")
WEIGHTS = {"contract": 0.2, "values": 0.7, "purity": 0.1}


def rule(name, points, cases, kwargs=(), stage=""):
    """An operation of ops.py, whose reference is the pair there."""
    reference = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    student = f"ops.py:{name}_forward,{name}_backward"
    hw.rule(name, student, reference, cases=cases, points=points, weights=WEIGHTS, kwargs=kwargs, stage=stage)


# ---- shapes: axes that are reduced, axes that are broadcast

AXES = [{"axis": None}, {"axis": -1}, {"axis": 0, "keepdims": True}, {"axis": (0, -1)}]
rule("mean", 1, tg.shapes((5, 3), (4, 4), (1, 3)) + tg.hidden((2, 5, 3)), AXES, "shapes")

rule(
    "add",
    2,
    tg.shapes(((5, 3), (3,)), ((5, 3), (5, 1)), ((5, 1), (1, 3)), ((5, 3), ()), ((5, 3), (5, 3)))
    + tg.shapes(((5, 3), (3,)), dtype=np.float32)
    + tg.hidden(((4, 4), (4,)), ((2, 5, 3), (5, 1)), ((3,), (1, 3)), ((1, 3), (5, 3))),
    stage="shapes",
)

rule(
    "matmul",
    2,
    tg.shapes(((5, 3), (3, 7)), ((4, 4), (4, 4)), ((2, 5, 3), (2, 3, 7)))
    + tg.shapes(((5, 3), (3, 7)), dtype=np.float32)
    + tg.hidden(((1, 3), (3, 7)), ((5, 1), (1, 7)), ((2, 5, 3), (3, 7)), ((3, 1, 5, 2), (4, 2, 3))),
    stage="shapes",
)

# ---- rows: each output depends on a whole row


def scores(examples, classes, scale=1.0, dtype=np.float64):
    """A case of scores and labels."""

    def draw(rng):
        return (scale * rng.normal(size=(examples, classes))).astype(dtype), rng.integers(classes, size=examples)

    return draw


rule(
    "softmax_cross_entropy",
    3,
    tg.case(scores(5, 3), "5 examples, 3 classes")
    + tg.case(scores(4, 4), "4 examples, 4 classes")
    + tg.case(scores(5, 3, dtype=np.float32), "float32")
    + tg.hidden(
        *tg.case(scores(1, 7), "a single example"),
        *tg.case(scores(5, 3, scale=30.0), "large scores"),
        *tg.case(lambda rng: (rng.normal(size=(5, 3)), np.full(5, 2)), "one label for all"),
    ),
    stage="rows",
)

rule(
    "layer_norm",
    4,
    tg.shapes(((5, 7), (7,), (7,)), ((4, 4), (4,), (4,)))
    + tg.shapes(((5, 7), (7,), (7,)), dtype=np.float32)
    + tg.hidden(((2, 5, 3), (3,), (3,)), ((1, 7), (7,), (7,))),
    kwargs=[{"eps": 1e-5}, {"eps": 0.1}],
    stage="rows",
)

# ---- windows and rows of a table: an input is used by several outputs, or by none

STRIDES = [{"stride": 1, "padding": 0}, {"stride": 2, "padding": 1}]
rule(
    "conv2d",
    4,
    tg.shapes(((2, 2, 5, 4), (3, 2, 3, 2), (3,)), ((1, 2, 4, 4), (2, 2, 2, 2), (2,)))
    + tg.shapes(((1, 2, 5, 4), (3, 2, 3, 2), (3,)), dtype=np.float32)
    + tg.hidden(((1, 1, 6, 7), (2, 1, 3, 3), (2,))),  # with stride 2, rows that no window reaches
    kwargs=STRIDES,
    stage="windows",
)


def tied(rng):
    """Images of three grey levels, in which the largest pixel of a window is seldom alone."""
    return rng.integers(3, size=(1, 2, 5, 5)).astype(float)


WINDOWS = [{"size": 2, "stride": 2}, {"size": 3, "stride": 1}, {"size": 3, "stride": 2, "padding": 1}]
rule(
    "max_pool",
    2,
    tg.shapes((2, 1, 6, 4), (1, 1, 5, 5))
    + tg.case(tied, "ties")
    + tg.hidden((1, 2, 7, 5))
    + tg.hidden((1, 1, 6, 4), dtype=np.float32),
    kwargs=WINDOWS,
    stage="windows",
)


def lookup(rows, shape, dtype=np.float64):
    """A case of a table with rows of 3 and of indices, of which some come more than once and some never."""

    def draw(rng):
        indices = rng.integers(rows - 1, size=shape)
        indices.flat[-1] = indices.flat[0]
        return rng.normal(size=(rows, 3)).astype(dtype), indices

    return draw


rule(
    "embedding",
    2,
    tg.case(lookup(5, 7), "7 of 5 rows")
    + tg.case(lookup(5, 7, np.float32), "float32")
    + tg.case(lambda rng: (rng.normal(size=(5, 3)), np.array([4, 0, 2])), "no index twice")
    + tg.hidden(*tg.case(lookup(4, (2, 3)), "2 x 3 of 4 rows"), *tg.case(lookup(5, 2), "the same row twice")),
    stage="windows",
)
