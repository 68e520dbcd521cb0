"""What would make NumPy faster on this machine: ``python -m tinyad doctor``.

Nearly all the time of a large network goes into matrix products, which NumPy leaves to its BLAS. When that library loads, it
picks kernels that suit the processor, as far as it knows the processor, and a number of threads. It can pick badly: measured,
OpenBLAS 0.3.31 takes its Haswell kernels on an AMD processor of family 26 and computes 251 GFLOP/s in float32, where
OPENBLAS_CORETYPE=SKYLAKEX gives 468.

A loaded BLAS keeps its kernels, so every setting is tried in a process of its own. Nothing here changes the environment of this
process: the library only tells. The command line keeps what was found and starts itself again with it.

Read in this order: `machine.py` (what is here), `trials.py` (what would help), `findings.py` (telling it), `kept.py` (applying it).
"""

from .findings import Findings, examine, export_lines
from .kept import restart, save, to_apply

__all__ = ["Findings", "examine", "export_lines", "restart", "save", "to_apply"]
