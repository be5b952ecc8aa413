"""What a run has done so far, told as it goes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from digest.models import StageReport
from digest.ports import Ports


@dataclass(slots=True)
class Log:
    """What has been done so far in this run."""

    ports: Ports
    started_at: datetime
    stages: list[StageReport] = field(default_factory=list)

    def note(self, stage: str, notes: Sequence[str] = (), **counts: int) -> None:
        """A stage has ended: what it counted, and what is worth saying."""
        now = self.ports.clock()
        seconds = (now - self.started_at).total_seconds() - sum(report.seconds for report in self.stages)
        report = StageReport(stage=stage, counts=counts, seconds=round(max(0.0, seconds), 3), notes=tuple(notes))
        self.stages.append(report)
        self.ports.on_stage(report)
