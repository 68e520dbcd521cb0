"""What is found of a rule, written down while it is examined."""

from __future__ import annotations

from dataclasses import dataclass, field

from .comparison import Comparison
from .diagnoses.finding import Finding
from .reference_mutants import TrustedPair
from .report import Diagnosis
from .trial import Trial

__all__ = ["Examination"]


@dataclass
class Examination:
    """What is found of a rule, while it is examined.

    Attributes:
        trial: the rule at the point that was given.
        trusted: a right backward, if there is one.
        diagnoses: so far.
        comparisons: of the inputs whose gradients can be compared.
        notes: on how it was examined.
    """

    trial: Trial
    trusted: TrustedPair | None = None
    diagnoses: list[Diagnosis] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def name(self, i: int) -> str:
        """An input's name, shape and dtype."""
        value = self.trial.rule.values[i]
        return f"{self.trial.rule.names[i]} {value.shape} {value.dtype}"

    def add(self, id: str, label: str, finding: Finding, i: int | None = None, tier: int = 1, error: bool = True) -> None:
        """Write down what was found of the whole call, or of one input."""
        self.diagnoses.append(
            Diagnosis(
                id=finding.id or id,
                label=finding.label or label,
                fact=finding.fact,
                hint=finding.hint,
                explain=finding.explain,
                input=i,
                name="" if i is None else self.name(i),
                tier=tier,
                residual=finding.residual,
                args=finding.args,
                error=error,
            )
        )

    def sorted(self) -> list[Diagnosis]:
        """What is wrong first, in the order in which it was found; then what is worth knowing."""
        return sorted(self.diagnoses, key=lambda diagnosis: not diagnosis.error)
