"""Rows of special functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special

from tests.primitives.sampling import Array, Row, anywhere, away_from_zero, elementwise, inside_unit, of, positive
from tinyad.primitives import special


def simple(name: str, *domains: Callable[[Array], Array], primitive: str = "") -> Row:
    function, reference = getattr(special, name), getattr(scipy.special, name)
    return of(name, elementwise(*domains), primitive or name, function=function, reference=reference)


def with_constants(name: str, *constants: float, domain: Callable[[Array], Array], primitive: str = "") -> Row:
    """A function of its last operand."""
    function, reference = getattr(special, name), getattr(scipy.special, name)
    return of(
        f"{name} of {constants}",
        elementwise(domain),
        primitive or name,
        function=lambda x: function(*constants, x),
        reference=lambda x: reference(*constants, x).astype(x.dtype),
    )


def between_zero_and_one(z: Array) -> Array:
    return 0.5 + 0.4 * np.tanh(z)


def off_the_poles(z: Array) -> Array:
    """Negative numbers too, none within 0.2 of a whole one."""
    return np.asarray(np.round(2 * z) + 0.5 + 0.3 * np.tanh(z))


ROWS: list[Row] = [
    *[simple(name, anywhere) for name in ("erf", "erfc", "erfcx", "ndtr", "log_ndtr", "j0", "j1", "i0", "i1")],
    *[simple(name, away_from_zero) for name in ("i0e", "i1e", "expi")],
    *[simple(name, positive) for name in ("exp1", "y0", "y1", "k0", "k1", "k0e", "k1e", "loggamma", "entr")],
    *[simple(name, off_the_poles) for name in ("gammaln", "gamma", "rgamma", "digamma")],
    *[simple(name, between_zero_and_one) for name in ("logit", "ndtri")],
    simple("erfinv", inside_unit),
    simple("erfcinv", lambda z: 1.0 + 0.9 * np.tanh(z)),
    simple("xlogy", anywhere, positive),
    simple("xlog1py", anywhere, positive),
    simple("rel_entr", positive, positive),
    simple("kl_div", positive, positive),
    simple("beta", positive, positive),
    simple("betaln", positive, positive),
    simple("poch", positive, positive),
    with_constants("zeta", 2.5, domain=positive),
    with_constants("gammainc", 1.7, domain=positive),
    with_constants("gammaincc", 0.6, domain=positive),
    with_constants("betainc", 0.8, 2.3, domain=between_zero_and_one),
    with_constants("expn", 0, domain=positive),
    with_constants("expn", 3, domain=positive),
    with_constants("polygamma", 0, domain=off_the_poles, primitive="digamma"),
    with_constants("polygamma", 1, domain=off_the_poles, primitive="zeta"),
    with_constants("polygamma", 3, domain=off_the_poles, primitive="zeta"),
    of("factorial", elementwise(positive), "gamma", function=special.factorial, reference=scipy.special.factorial),
    of(
        "multigammaln", elementwise(lambda z: 1.5 + np.abs(z)), "gammaln",
        function=lambda a: special.multigammaln(a, 3), reference=lambda a: scipy.special.multigammaln(a, 3).astype(a.dtype),
    ),
]  # fmt: skip
