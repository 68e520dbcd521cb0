"""Checking gradients: against function values, by Taylor remainders, and forward against reverse mode."""

from .check import GradientError, Report, check
from .numeric import check_adjoint, dot_test, numeric_jacobian, taylor_table

__all__ = ["GradientError", "Report", "check", "check_adjoint", "dot_test", "numeric_jacobian", "taylor_table"]
