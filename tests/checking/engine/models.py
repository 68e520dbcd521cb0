"""Small engines with one mistake each in their way back, in all the orders in which they may visit nodes.

A `Value` knows its parents and the partial derivative by each. A way back is a function of the root; `WAYS` names them by the label
that the checker is to find, with every order that a student could have chosen.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any


class Value:
    """A number with its parents and the partial derivatives by them. How to go back is said by a subclass."""

    made = 0

    def __init__(self, data: float, parents: Any = ()) -> None:
        Value.made += 1
        self.id = Value.made
        self.data, self.grad, self.parents = data, 0.0, list(parents)

    def __add__(self, other: Value) -> Value:
        return type(self)(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other: Value) -> Value:
        return type(self)(self.data * other.data, [(self, other.data), (other, self.data)])


Way = Callable[[Value], None]


def engine(way: Way) -> type[Value]:
    """The class of an engine that goes back in this way."""
    return type("Value", (Value,), {"backward": lambda self: way(self)})


# ---- orders of nodes, each from the root to the leaves


def reachable(root: Value) -> list[Value]:
    found, waiting = {root.id: root}, [root]
    while waiting:
        for parent, _ in waiting.pop().parents:
            if parent.id not in found:
                found[parent.id] = parent
                waiting.append(parent)
    return list(found.values())


def by_creation(root: Value) -> list[Value]:
    return sorted(reachable(root), key=lambda v: -v.id)


def by_search(turn: int) -> Callable[[Value], list[Value]]:
    """Reversed postorder of a depth-first search, the parents in order (1) or the other way round (-1)."""

    def order(root: Value) -> list[Value]:
        post: list[Value] = []
        seen = set()

        def visit(v: Value) -> None:
            if v.id in seen:
                return
            seen.add(v.id)
            for parent, _ in v.parents[::turn]:
                visit(parent)
            post.append(v)

        visit(root)
        return post[::-1]

    return order


def by_counting(stack: bool) -> Callable[[Value], list[Value]]:
    """A node once all its uses are done, waiting in a queue or on a stack."""

    def order(root: Value) -> list[Value]:
        uses = {v.id: 0 for v in reachable(root)}
        for v in reachable(root):
            for parent, _ in v.parents:
                uses[parent.id] += 1
        ready, done = deque([root]), []
        while ready:
            v = ready.pop() if stack else ready.popleft()
            done.append(v)
            for parent, _ in v.parents:
                uses[parent.id] -= 1
                if uses[parent.id] == 0:
                    ready.append(parent)
        return done

    return order


ORDERS = [by_creation, by_search(1), by_search(-1), by_counting(True), by_counting(False)]


# ---- ways back


def right(order: Any, root: Value) -> None:
    root.grad = 1.0
    for v in order(root):
        for parent, d in v.parents:
            parent.grad += d * v.grad


def overwrite(order: Any, root: Value) -> None:
    root.grad = 1.0
    for v in order(root):
        for parent, d in v.parents:
            parent.grad = d * v.grad


def forward_order(order: Any, root: Value) -> None:
    root.grad = 1.0
    for v in order(root)[::-1]:
        for parent, d in v.parents:
            parent.grad += d * v.grad


def one_step(root: Value) -> None:
    root.grad = 1.0
    for parent, d in root.parents:
        parent.grad += d * root.grad


def no_seed(order: Any, root: Value) -> None:
    for v in order(root):
        for parent, d in v.parents:
            parent.grad += d * v.grad


def no_upstream(order: Any, root: Value) -> None:
    root.grad = 1.0
    for v in order(root):
        for parent, d in v.parents:
            parent.grad += d


def parents_in_a_set(order: Any, root: Value) -> None:
    root.grad = 1.0
    for v in order(root):
        for parent, d in dict(v.parents).items():
            parent.grad += d * v.grad


def pushing(v: Value, turn: int, between: bool, once: bool, seen: set[int] | None) -> None:
    """Recursion from node to parents. Each push is followed by its visit (between), or all visits come after all pushes."""
    parents = v.parents[::turn]
    for parent, d in parents:
        parent.grad += d * v.grad
        if between:
            step_down(parent, turn, between, once, seen)
    if not between:
        for parent in dict.fromkeys(p for p, _ in parents) if once else [p for p, _ in parents]:
            step_down(parent, turn, between, once, seen)


def step_down(v: Value, turn: int, between: bool, once: bool, seen: set[int] | None) -> None:
    if seen is not None:
        if v.id in seen:
            return
        seen.add(v.id)
    pushing(v, turn, between, once, seen)


def recursion(turn: int, between: bool, once: bool, visited: bool, root: Value) -> None:
    root.grad = 1.0
    step_down(root, turn, between, once, set() if visited else None)


def search_with_stack(turn: int, on_push: bool, root: Value) -> None:
    """A stack in place of the recursion; a node counts as visited when it is pushed, or when it is popped."""
    root.grad = 1.0
    stack, seen = [root], {root.id} if on_push else set()
    while stack:
        v = stack.pop()
        if not on_push:
            if v.id in seen:
                continue
            seen.add(v.id)
        for parent, d in v.parents[::turn]:
            parent.grad += d * v.grad
            if parent.id not in seen:
                stack.append(parent)
                if on_push:
                    seen.add(parent.id)


def breadth_first(turn: int, on_push: bool, root: Value) -> None:
    root.grad = 1.0
    queue, seen = deque([root]), {root.id} if on_push else set()
    while queue:
        v = queue.popleft()
        if not on_push:
            if v.id in seen:
                continue
            seen.add(v.id)
        for parent, d in v.parents[::turn]:
            parent.grad += d * v.grad
            if parent.id not in seen:
                queue.append(parent)
                if on_push:
                    seen.add(parent.id)


def queue_without_visited(stack: bool, turn: int, root: Value) -> None:
    root.grad = 1.0
    queue = deque([root])
    while queue:
        v = queue.pop() if stack else queue.popleft()
        for parent, d in v.parents[::turn]:
            parent.grad += d * v.grad
            queue.append(parent)


def path_recursion(turn: int, root: Value) -> None:
    def push(v: Value, g: float) -> None:
        v.grad += g
        for parent, d in v.parents[::turn]:
            push(parent, d * g)

    push(root, 1.0)


def _in_every_order(way: Any) -> list[Way]:
    return [partial(way, order) for order in ORDERS]


TURNS, EITHER = (1, -1), (True, False)
WAYS: dict[str, list[Way]] = {
    "right": _in_every_order(right),
    "overwrite": _in_every_order(overwrite),
    "double_propagation": [
        *(partial(recursion, t, between, once, False) for t, between, once in itertools.product(TURNS, EITHER, EITHER)),
        *(partial(queue_without_visited, stack, t) for stack, t in itertools.product(EITHER, TURNS)),
    ],
    "no_order_dfs": [
        *(partial(recursion, t, between, True, True) for t, between in itertools.product(TURNS, EITHER)),
        *(partial(search_with_stack, t, on_push) for t, on_push in itertools.product(TURNS, EITHER)),
    ],
    "no_order_bfs": [partial(breadth_first, t, on_push) for t, on_push in itertools.product(TURNS, EITHER)],
    "forward_order": [*_in_every_order(forward_order), one_step],
    "duplicate_parent": _in_every_order(parents_in_a_set),
    "no_seed": _in_every_order(no_seed),
    "no_upstream": _in_every_order(no_upstream),
    "exponential": [partial(path_recursion, t) for t in TURNS],
}


def all_ways() -> Iterator[tuple[str, int, Way]]:
    """Label, number and way."""
    for label, ways in WAYS.items():
        for k, way in enumerate(ways):
            yield label, k, way
