"""Stage 1: numbers that remember how they were made.

A `Value` holds a number. Operations on Values give new Values, which know their parents: the operands. From the result,
`backward` goes back through all of them and leaves in ``grad`` of each the derivative of the result by it.

The interface is fixed, because the grader uses it: ``Value(2.0)``, ``data``, ``grad``, ``backward()``, the operators, and the
methods ``tanh``, ``relu`` and ``exp``. What is inside is yours: a way to begin is given, and you may change it.

Use the standard library alone. To check what there is so far::

    python -m tinyad check scalar.py::Value
"""

import math


class Value:
    """A number, with its derivative.

    Attributes:
        data: the number.
        grad: the derivative of the result by it, after ``result.backward()``; 0 before. A second backward adds to it.
        parents: the Values it was made of; none if it was not made by an operation.
        pull: from the derivative of the result by this Value, a function that gives those by its parents, as a tuple.
    """

    def __init__(self, data, parents=(), pull=None):
        self.data = float(data)
        self.grad = 0.0
        self.parents = parents
        self.pull = pull

    def __repr__(self):
        return f"Value({self.data:g}, grad={self.grad:g})"

    # ---- operations. `other` may be a plain number: then it is made a Value first.

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, (self, other), lambda g: (g, g))  # given, as an example

    def __mul__(self, other):
        other = as_value(other)
        ### BEGIN SOLUTION
        a, b = self.data, other.data  # as they are now, not when backward runs
        return Value(a * b, (self, other), lambda g: (g * b, g * a))
        ### END SOLUTION

    def __pow__(self, exponent):
        """To a power that is a plain number."""
        ### BEGIN SOLUTION
        slope = exponent * self.data ** (exponent - 1)
        return Value(self.data**exponent, (self,), lambda g: (g * slope,))
        ### END SOLUTION

    def tanh(self):
        ### BEGIN SOLUTION
        y = math.tanh(self.data)
        return Value(y, (self,), lambda g: (g * (1 - y**2),))
        ### END SOLUTION

    def relu(self):
        """The number if it is positive, otherwise 0."""
        ### BEGIN SOLUTION
        positive = self.data > 0
        return Value(self.data if positive else 0.0, (self,), lambda g: (g if positive else 0.0,))
        ### END SOLUTION

    def exp(self):
        ### BEGIN SOLUTION
        y = math.exp(self.data)
        return Value(y, (self,), lambda g: (g * y,))
        ### END SOLUTION

    # ---- what follows from these

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -as_value(other)

    def __truediv__(self, other):
        return self * as_value(other) ** -1.0

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        return as_value(other) - self

    def __rtruediv__(self, other):
        return as_value(other) / self

    # ---- the way back

    def backward(self):
        """Add to ``grad`` of this Value and of all it was made of the derivative of this Value by them.

        A Value may be used more than once, and on ways of different lengths: its turn comes when all that it was used for have
        had theirs. A loss may be made of tens of thousands of Values one after the other.
        """
        ### BEGIN SOLUTION
        gradients = {id(self): 1.0}
        for value in reversed(in_order(self)):
            gradient = gradients.pop(id(value))
            value.grad += gradient
            if value.pull is not None:
                for parent, part in zip(value.parents, value.pull(gradient), strict=True):
                    gradients[id(parent)] = gradients.get(id(parent), 0.0) + part
        ### END SOLUTION


def as_value(number):
    """The number as a Value, unless it is one."""
    return number if isinstance(number, Value) else Value(number)


def in_order(root):
    """All Values that ``root`` is made of, and itself: parents before what is made of them, each once."""
    ### BEGIN SOLUTION
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        value, parents_done = stack.pop()
        if parents_done:
            order.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack.extend((parent, False) for parent in value.parents)
    return order
    ### END SOLUTION
