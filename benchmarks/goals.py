"""What was hoped for, and what was measured."""

from dataclasses import dataclass
from statistics import median

from measures import MARK
from report import COMPILED, geometric_mean, markdown, number, ratio
from workloads import FIRST, GRADIENTS, SIZES, key

DOCTOR = COMPILED + MARK
PRODUCTS = "numpy products alone"
LARGEST = GRADIENTS[-2:]
ADAM = ["adam-mlp-64", "adam-mlp-1024", *(key(size, "adam") for size in SIZES)]
HVP = [key(size, "hvp") for size in SIZES]
MATRICES = ["jacobian", "hessian"]

# (letter of the section, kind of measure, workload, column)
Quantity = tuple[str, str, str, str]


@dataclass(frozen=True)
class Goal:
    """A bound on quotients of quantities (or on a quantity, where the divisor is None), on their largest or geometric mean."""

    what: str
    limit: float
    pairs: list[tuple[Quantity, Quantity | None]]
    over: str = "geometric mean"
    unit: str = ""
    faster: bool = False  # say 1/x "times faster", at least, where x is meant to be at most the limit

    def measured(self, results):
        """The number that should be at most the limit, and how many of its parts there were."""
        found = []
        for top, bottom in self.pairs:
            a, b = look_up(results, top), look_up(results, bottom)
            if a and (b or bottom is None):
                found.append(ratio(a, b) if b else median(a))
        reduce = geometric_mean if self.over == "geometric mean" and len(found) > 1 else max
        return (reduce(found) if found else None), len(found)

    def row(self, results):
        value, count = self.measured(results)
        if value is None:
            return [self.what, self.bound(), self.why_not(results), ""]
        shown = f"{number(1 / value)} times" if self.faster else f"{number(value)}{self.unit}"
        verdict = "yes" if value <= self.limit else f"no, by {100 * (value / self.limit - 1):.0f} %"
        if count < len(self.pairs):
            shown += f" ({count} of {len(self.pairs)})"
        return [self.what, self.bound(), shown, verdict]

    def why_not(self, results):
        letter, kind, workload, column = self.pairs[0][0]
        undoctored = letter, kind, workload, column.removesuffix(MARK)
        nothing = column.endswith(MARK) and look_up(results, undoctored)
        return "the doctor recommends nothing" if nothing else "not measured"

    def bound(self):
        if self.faster:
            return f"at least {1 / self.limit:.0f} times faster"
        many = "" if len(self.pairs) == 1 else ", geometric mean" if self.over == "geometric mean" else ", each"
        return f"at most {self.limit:g}{self.unit}{many}"


def look_up(results, quantity):
    if quantity is None:
        return None
    letter, kind, workload, column = quantity
    return results.get(letter, {}).get(kind, {}).get(workload, {}).get(column)


def against(column, letter, names, base=COMPILED, kind="seconds"):
    """A column beside another one, on the same workloads."""
    return [((letter, kind, name, base), (letter, kind, name, column)) for name in names]


GOALS = [
    Goal("(a) JAX jit, NumPy as installed", 1.0, against("jax jit", "a", GRADIENTS), "largest"),
    Goal("(a) JAX jit, NumPy as installed", 0.85, against("jax jit", "a", GRADIENTS)),
    Goal("(a) JAX jit, with the doctor's setting", 0.65, against("jax jit", "a", GRADIENTS, DOCTOR)),
    Goal("(a) PyTorch eager", 0.45, against("torch eager", "a", GRADIENTS)),
    Goal("(a) torch.compile", 0.55, against("torch compile", "a", GRADIENTS)),
    Goal("(a) matrix products alone, two largest", 1.25, against(PRODUCTS, "a", LARGEST), "largest"),
    Goal("(a) the same, both with the doctor's setting", 1.25, against(PRODUCTS + MARK, "a", LARGEST, DOCTOR), "largest"),
    Goal("(b) JAX jit", 1.0, against("jax jit", "b", ADAM)),
    Goal("(b) PyTorch eager", 1.0, against("torch eager", "b", ADAM)),
    Goal("(b) torch.compile", 1.0, against("torch compile", "b", ADAM)),
    Goal(
        "(d) Hessian-vector product over gradient",
        2.5,
        [(("d", "seconds", key(size, "hvp"), COMPILED), ("d", "seconds", key(size), COMPILED)) for size in SIZES],
        "largest",
    ),
    Goal("(d) Hessian-vector product, JAX jit", 1.0, against("jax jit", "d", HVP)),
    Goal("(e) JAX jit", 2.0, against("jax jit", "e", MATRICES), "largest"),
    Goal("(e) HIPS autograd", 1 / 20, against("autograd", "e", MATRICES), "largest", faster=True),
    Goal("(f) JAX jit with scan", 1.5, against("jax jit", "f", ["ode"])),
    Goal("(f) diffrax", 1.5, against("jax diffrax", "f", ["ode"])),
    Goal("(f) first result, JAX jit", 1 / 10, against("jax jit", "f", ["ode"], kind="first"), faster=True),
    Goal("(f) first result, diffrax", 1 / 10, against("jax diffrax", "f", ["ode"], kind="first"), faster=True),
    Goal("(f) solver, diffrax with its default adjoint", 1.0, against("jax diffrax", "f", ["solver"])),
    Goal("(f) solver, torchdiffeq", 0.5, against("torch torchdiffeq", "f", ["solver"])),
    Goal("(f) solver, torchdiffeq's adjoint", 0.5, against("torch torchdiffeq, adjoint", "f", ["solver"])),
    Goal("(f) solver, first result, diffrax", 1 / 10, against("jax diffrax", "f", ["solver"], kind="first"), faster=True),
    Goal("(g) PyTorch eager", 1.5, against("torch eager", "g", ["adam-convnet-64"])),
    Goal("(g) PyTorch eager, with the doctor's setting", 1.5, against("torch eager", "g", ["adam-convnet-64"], DOCTOR)),
    Goal("(h) peak memory, tinyad eager", 0.5, against("tinyad eager", "h", GRADIENTS, kind="peak"), "largest"),
    Goal("(h) growth over 10,000 replays", 0.1, [(("h", "leak", key(SIZES[0]), COMPILED), None)], unit=" MB"),
    Goal("(i) first result, ResNet of 32 layers", 0.2, [(("i", "first", FIRST[1], COMPILED), None)], unit=" s"),
]


def table(results):
    rows = [goal.row(results) for goal in GOALS]
    return markdown([[f"{COMPILED}, against or of", "goal", "measured", "met?"], *rows])
