"""Checks of a derivative by numbers, one a file: differences, Taylor remainders, and the dot test."""

from .differences import NumericJacobian, numeric_jacobian
from .dot import DotTest, check_adjoint, dot_test
from .taylor import TaylorTable, taylor_table

__all__ = ["DotTest", "NumericJacobian", "TaylorTable", "check_adjoint", "dot_test", "numeric_jacobian", "taylor_table"]
