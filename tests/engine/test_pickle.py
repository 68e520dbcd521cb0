"""Functions that users put into models can be pickled, so that a model can go to another process."""

import pickle

import pytest

import tinyad as ad


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid", "sin", "softplus", "add", "maximum", "matrix_transpose", "matmul"])
def test_functions_are_pickled_by_name(name: str) -> None:
    assert pickle.loads(pickle.dumps(getattr(ad, name))) is getattr(ad, name)
