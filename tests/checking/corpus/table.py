"""All operations of the corpus. They stand in the files of this folder, a file a subject."""

from __future__ import annotations

from tests.checking.corpus import (
    binary,
    convolution,
    elementwise,
    indexing,
    losses,
    matrices,
    normalisation,
    products,
    recurrent,
    reductions,
    shaping,
)
from tests.checking.corpus.case import Operation

SUBJECTS = [
    elementwise, binary, products, matrices, reductions,
    normalisation, losses, convolution, indexing, shaping, recurrent,
]  # fmt: skip

OPERATIONS: list[Operation] = [operation for subject in SUBJECTS for operation in subject.OPERATIONS]
