# %% [markdown]
# # Why the order matters
#
# "Why not simply call `backward` on the parents?" is the question that small engines are asked most often,
# and the answer has been found anew in many of them, as a bug. This page makes the mistakes on purpose. Two
# lines are enough for all of them:
#
# ```
# b = a + a
# c = b + b
# ```
#
# On paper $c = 4a$, so the derivative is 4. Nothing here is measured in seconds: we count calls.

# %%
import itertools
import sys

import matplotlib.pyplot as plt

import tinyad as ad
from tinyad.report import PALETTE, keep, tidy

# %% [markdown]
# ## 1. A graph
#
# As in [tutorial 1](01_a_tape_by_hand.py), a number remembers its operands and the partial derivatives by
# them; but there is no list. A node points to its operands, and the record is whatever can be reached from
# the result. Besides, every node has a number that says how old it is; we shall need it in section 5.

# %%
new_id = itertools.count().__next__


class Node:
    """A number, and the nodes it was made from: pairs (operand, partial derivative)."""

    def __init__(self, value, operands=()):
        self.value, self.operands, self.id = value, operands, new_id()

    def __add__(self, other):
        return Node(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Node(self.value * other.value, ((self, other.value), (other, self.value)))


def doubled(a, times):
    """a + a, then the sum with itself of that, and so on."""
    for _ in range(times):
        a = a + a
    return a


# %% [markdown]
# ## 2. Recursion that is right, and hopeless
#
# The chain rule read aloud: "the derivative flows from a number to its operands, multiplied by the partial
# derivatives". As a program:


# %%
def by_recursion(output, leaf):
    """The derivative, and how many calls it took."""
    gradient, calls = 0.0, 0

    def push(node, g):
        nonlocal gradient, calls
        calls += 1
        if node is leaf:
            gradient += g
        for operand, partial in node.operands:
            push(operand, g * partial)

    push(output, 1.0)
    return gradient, calls


a = Node(3.0)
print("n   derivative   calls")
counts = {}
for n in (1, 2, 3, 4, 8, 12, 16):
    gradient, counts[n] = by_recursion(doubled(a, n), a)
    print(f"{n:<3} {gradient:<12g} {counts[n]}")
    assert gradient == 2.0**n and counts[n] == 2 ** (n + 1) - 1

# %% [markdown]
# The derivatives are right. But `push` reaches `a` once for every *path* from the result, and each `+` of a
# number with itself doubles the number of paths: $2^{n+1} - 1$ calls for $n$ additions. It computes
#
# $$\frac{\partial c}{\partial a} = \sum_{\text{paths } a \to \dots \to c} \;
#   \prod_{\text{edges of the path}} \text{partial derivative}$$
#
# term by term. The formula is true, and no way to compute. A residual network doubles the paths at every
# layer, just like `a + a`: with 50 layers there are $10^{15}$. Reverse mode is the same sum with the common
# parts taken out, each node's factor multiplied only when **all that arrives at the node has been added up**.
#
# ## 3. Recursion that is fast, and wrong
#
# So let a node collect what it gets, and pass on. Two ways to write it, both seen in the wild. The first
# hands on the sum so far each time something arrives; the second hands on once, the first time it is reached.


# %%
def pass_on_the_sum_so_far(output, leaf):
    total = {}

    def push(node, g):
        total[node] = total.get(node, 0.0) + g
        for operand, partial in node.operands:
            push(operand, total[node] * partial)  # parts of the sum have been handed on before

    push(output, 1.0)
    return total[leaf]


def pass_on_once(output, leaf):
    total, visited = {output: 1.0}, set()

    def push(node):
        visited.add(node)
        for operand, partial in node.operands:
            total[operand] = total.get(operand, 0.0) + total[node] * partial
            if operand not in visited:
                push(operand)  # more may arrive there later

    push(output)
    return total[leaf]


print("n   right   sum so far   once")
for n in (1, 2, 3, 4):
    c = doubled(a, n)
    print(f"{n:<3} {2**n:<7} {pass_on_the_sum_so_far(c, a):<12g} {pass_on_once(c, a):g}")

# %% [markdown]
# Both are right for $n = 1$, and for every formula in which no *intermediate* result is used twice, which is
# why tests do not find it: $x y + \sin x$ passes. For `c` they give 6 and 2 instead of 4.
#
# What both lack is the same. A node may hand on only when everything has arrived.
#
# ## 4. A queue does not help
#
# Replace the recursion by a queue, so that nodes are visited level by level from the result: first the
# result, then its operands, then theirs. Levels sound like an order. But a node can be near the result by one
# path and far by another.


# %%
def by_levels(output, leaf):
    total, queue = {output: 1.0}, [output]
    for node in queue:
        for operand, partial in node.operands:
            total[operand] = total.get(operand, 0.0) + total[node] * partial
            if operand not in queue:
                queue.append(operand)
    return total[leaf]


b = a * a
c = b + a
print("d = c * b:", by_levels(c * b, a))
print("d = b * c:", by_levels(b * c, a))
right = 4 * a.value**3 + 3 * a.value**2  # of (a^2 + a) a^2
print("paper:    ", right)
assert by_levels(c * b, a) == right != by_levels(b * c, a)

# %% [markdown]
# The derivative of a product depends on the order of its factors! In `b * c` the queue visits `b` first, and
# what `c` has for `b` arrives after `b` has handed on.
#
# How many orders are right? Let us try all of them, on a graph with one more branch. The gradient is computed
# by visiting the nodes in an order that is given; the leaf hands on nothing, and the other five nodes can be
# ordered in 120 ways.


# %%
def in_order(nodes, output, leaf):
    """The derivative, if each node hands on what it has when its turn comes."""
    total = {output: 1.0}
    for node in nodes:
        for operand, partial in node.operands:
            total[operand] = total.get(operand, 0.0) + total.get(node, 0.0) * partial
    return total.get(leaf, 0.0)


def users_first(nodes):
    """Whether each node comes after all that use it."""
    return all(operand not in nodes[:k] for k, node in enumerate(nodes) for operand, _ in node.operands)


d = b * c
e = a + a
f = d * e
answers = {}
for nodes in itertools.permutations([b, c, d, e, f]):
    answers.setdefault(in_order(nodes, f, a), []).append(users_first(nodes))

for answer, which in sorted(answers.items()):
    print(f"derivative {answer:<6g} in {len(which):2} orders, {sum(which)} of them with users first")

# %% [markdown]
# Of all orders those are right in which every node comes *after all its users*, and no others. Such an order
# is called topological (of the graph with its arrows turned around). There may be several, and it does not
# matter which one is taken.
#
# ## 5. Two ways to find such an order
#
# **By search.** Go down from the result, and write each node down after all its operands have been written
# down; then read backwards. This is what micrograd does, with a recursive function, and it is right. But the
# recursion is as deep as the longest chain, and Python stops at about a thousand calls.


# %%
def by_search(output):
    """Nodes, each after all its users."""
    found, visited = [], set()

    def visit(node):
        if node not in visited:
            visited.add(node)
            for operand, _ in node.operands:
                visit(operand)
            found.append(node)

    visit(output)
    return found[::-1]


right_f = right * e.value + d.value * 2.0
assert in_order(by_search(f), f, a) == right_f
try:
    by_search(doubled(a, 2 * sys.getrecursionlimit()))
except RecursionError as error:
    print("a long chain:", error)

# %% [markdown]
# **By age.** An operand exists before what is made from it. So if every node gets the next integer when it is
# made, then *users have larger numbers than what they use*, and to visit nodes by falling number is a right
# order, always. No proof of it is shorter, and no other way is faster: the graph is collected with a stack,
# in any order at all, and sorted.


# %%
def by_age(output):
    found, pending = {output}, [output]
    while pending:
        for operand, _ in pending.pop().operands:
            if operand not in found:
                found.add(operand)
                pending.append(operand)
    return sorted(found, key=lambda node: node.id, reverse=True)


assert in_order(by_age(f), f, a) == right_f
print("n    derivative   nodes visited")
for n in (1, 2, 3, 4, 8, 12, 16, 1000):
    c = doubled(a, n)
    order = by_age(c)
    print(f"{n:<4} {in_order(order, c, a):<12.6g} {len(order)}")
    assert in_order(order, c, a) == 2.0**n and len(order) == n + 1 and users_first(order[:17])

# %% [markdown]
# $n + 1$ visits instead of $2^{n+1} - 1$.


# %%
def picture_of_counts():
    figure, axes = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
    axes.semilogy(counts.keys(), counts.values(), "o-", color=PALETTE["second"], label="paths, one by one")
    axes.semilogy(
        counts.keys(), [n + 1 for n in counts], "o-", color=PALETTE["first"], label="each node once"
    )
    tidy(axes, "additions of a number to itself", "calls", "What it costs to differentiate")
    axes.legend(frameon=False)
    return figure


keep(picture_of_counts(), "02_counts")

# %% [markdown]
# ## 6. One more reason
#
# Floating-point addition is not associative, so the *order in which contributions are added up* decides the
# last digits of a gradient. Where a graph keeps its operands in a set of objects, that order depends on where
# the objects lie in memory, and two runs of the same program differ.

# %%
contributions = [0.1, 0.2, 0.3]
print({x + y + z for x, y, z in itertools.permutations(contributions)})

# %% [markdown]
# By age the order is the same in every run: contributions are added from the youngest user to the oldest.
#
# ## 7. In tinyad
#
# `tinyad/reverse.py` collects with a stack and sorts by id, as above. Measured, that takes 154 ns a node: as
# much as a search without recursion, and half of what a heap takes. That each node is visited once, when all
# has arrived, is what `ad.show` prints of the walk:

# %%
shown = ad.show(lambda a: doubled(a, 3), 3.0, backward=True)
keep(shown.figure(), "02_doublings")

# %% [markdown]
# Every edge carries a part, every node hands on the sum. Each `added to what came from` in the text is a
# place at which the walks of section 3 went wrong.

# %%
for n in (1, 10, 100):
    assert ad.grad(lambda a, n=n: doubled(a, n))(3.0) == 2.0**n


def long_chain(a):
    s = a
    for _ in range(2 * sys.getrecursionlimit()):
        s = s + a
    return s


assert ad.grad(long_chain)(3.0) == 2 * sys.getrecursionlimit() + 1
assert ad.grad(lambda a: (a * a) * (a * a + a))(3.0) == right
assert {answer for answer, which in answers.items() if any(which)} == {right_f} and all(answers[right_f])
ids = [step.row.id for step in shown.steps]
assert ids == sorted(set(ids), reverse=True) and len(ids) == 3
