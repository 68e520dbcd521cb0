"""Checking gradients: against function values, by Taylor remainders, forward against reverse mode; and why they are wrong."""

from .check import check
from .engine import check_engine
from .layers import check_layer
from .numeric import check_adjoint, dot_test, numeric_jacobian, taylor_table
from .report import Diagnosis, GradientError, Report
from .rules import check_rule

__all__ = [
    "Diagnosis",
    "GradientError",
    "Report",
    "check",
    "check_adjoint",
    "check_engine",
    "check_layer",
    "check_rule",
    "dot_test",
    "numeric_jacobian",
    "taylor_table",
]
