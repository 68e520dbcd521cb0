"""Tableaux check themselves: wrong coefficients are refused, whatever is wrong with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.models.ode.problems import THETA, Y0, autonomous, by_hand, distance, network, slopes
from tinyad.models import ode

EXPLICIT = [tableau for tableau in ode.TABLEAUX.values() if tableau.explicit]
tableaux = pytest.mark.parametrize("tableau", ode.TABLEAUX.values(), ids=list(ode.TABLEAUX))


def coefficients(tableau: ode.Tableau) -> dict[str, Any]:
    return {field.name: getattr(tableau, field.name) for field in dataclasses.fields(tableau)}


@tableaux
def test_conditions_hold_to_rounding(tableau: ode.Tableau) -> None:
    assert ode.check_tableau(tableau.A, tableau.b, tableau.c, tableau.order, tableau.b_hat, tableau.order_hat) == []


@tableaux
def test_the_order_is_not_higher_than_said(tableau: ode.Tableau) -> None:
    violations = ode.check_tableau(tableau.A, tableau.b, tableau.c, tableau.order + 1)
    assert violations and all(f"order {tableau.order + 1} of b" in str(violation) for violation in violations)


@tableaux
def test_a_wrong_coefficient_is_refused(tableau: ode.Tableau) -> None:
    """Each one, changed in its sixth digit."""
    given = coefficients(tableau)
    for name in ("A", "b", "c", "b_hat", "dense"):
        if given[name] is None:
            continue
        for place in np.ndindex(given[name].shape):
            wrong = given[name].copy()
            wrong[place] += 1e-6
            with pytest.raises(ValueError, match=f"Tableau '{tableau.name}' breaks"):
                ode.Tableau(**{**given, name: wrong})


def test_how_many_trees_there_are() -> None:
    from tinyad.models.ode.tableau import _trees

    assert [len(_trees(n)) for n in range(1, 8)] == [1, 1, 2, 4, 9, 20, 48]  # OEIS A000081


def gl4(second_node: float) -> dict[str, Any]:
    r = 3**0.5 / 6
    return {"A": [[1 / 4, 1 / 4 - r], [1 / 4 + r, 1 / 4]], "b": [1 / 2, 1 / 2], "c": [1 / 2 - r, second_node], "order": 4}


def test_mistakes_of_well_known_libraries() -> None:
    """The second node with the sign of the first; weights of the embedded method in place of those that advance."""
    assert ode.Tableau(**gl4(1 / 2 + 3**0.5 / 6)).order == 4
    with pytest.raises(ValueError, match=r"row 1 of A sums to c\[1\]: expected 0.211325, found 0.788675"):
        ode.Tableau(**gl4(1 / 2 - 3**0.5 / 6))
    with pytest.raises(ValueError, match=r"order 5 of b"):
        ode.Tableau(ode.DOPRI5.A, ode.DOPRI5.b_hat, ode.DOPRI5.c, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"A": [[0.0]]}, r"A has shape \(1, 1\); expected \(2, 2\)"),
        ({"c": [0.0]}, r"c has shape \(1,\); expected \(2,\)"),
        ({"b_hat": [1.0, 0.0]}, "b_hat and order_hat go together"),
        ({"dense": [[1.0]], "order_dense": 1}, r"dense has shape \(1, 1\); expected \(2, degree\)"),
        ({"order": 0}, "order=0; expected a whole number of at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ode.Tableau(**{"A": [[0, 0], [0.5, 0]], "b": [0, 1], "c": [0, 0.5], "order": 2, **wrong})


def test_stability_of_explicit_and_implicit_methods() -> None:
    z = np.array([-1.0, 0.3j, -0.5 + 0.2j])
    np.testing.assert_allclose(ode.RK4.stability(z), 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24, rtol=1e-14)
    np.testing.assert_allclose(ode.TRAPEZOID.stability(z), (1 + z / 2) / (1 - z / 2), rtol=1e-14)
    np.testing.assert_allclose(ode.IMPLICIT_EULER.stability(z), 1 / (1 - z), rtol=1e-14)


# ---- what the coefficients are for


@pytest.mark.parametrize("f", [network, autonomous])
@pytest.mark.parametrize("tableau", EXPLICIT, ids=lambda tableau: tableau.name)
def test_the_error_falls_with_the_order(tableau: ode.Tableau, f: Any) -> None:
    exact = by_hand(ode.DOPRI5, f, Y0, 1.0, THETA, 1000)
    steps = (8, 16, 32, 64, 128) if tableau.order < 5 else (8, 16, 32)  # then rounding
    errors = [distance(ode.odeint(f, Y0, (0.0, 1.0), THETA, method=tableau.name, steps=n), exact) for n in steps]
    assert slopes(errors)[-1] >= tableau.order - 0.1
    if tableau.order < 5:  # the fifth order is reached from above
        assert slopes(errors)[-1] <= tableau.order + 0.1


@pytest.mark.parametrize("tableau", EXPLICIT, ids=lambda tableau: tableau.name)
def test_steps_are_those_of_the_textbook(tableau: ode.Tableau) -> None:
    found = ode.odeint(network, Y0, (0.0, 1.0), THETA, method=tableau.name, steps=7)
    np.testing.assert_allclose(found, by_hand(tableau, network, Y0, 1.0, THETA, 7), rtol=1e-13, atol=1e-15)
