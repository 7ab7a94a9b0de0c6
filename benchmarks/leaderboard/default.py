"""What our default is today, and what it was when a report was made."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.leaderboard.lines import Json
from benchmarks.leaderboard.methods import weights
from benchmarks.leaderboard.tasks import PRESETS
from pipeline.commands.compose import load_preset
from pipeline.report.sentences import joined_words


class Default(NamedTuple):
    """What is chosen for all benchmarks alike."""

    score: str
    losses: Mapping[str, float]
    """Those that have a weight. Early reports do not say."""
    outliers: Mapping[str, int]
    """Rows by method."""

    @classmethod
    def of_today(cls, benchmark: str) -> Self:
        """Return the default of the preset of a benchmark."""
        params = load_preset(Path(f"presets/{PRESETS[benchmark]}.yaml"))
        rows = {str(name): getattr(params.synthesize, name).rows for name in params.synthesize.methods}
        return cls(params.score.headline, weights(params.train), rows)

    @classmethod
    def of_report(cls, report: Json) -> Self:
        """Return the default that a report is of."""
        return cls(report["headline"], report.get("losses", {}), report["outliers"])

    def words(self) -> str:
        """Return it in words."""
        losses = [f"{name} {weight:g}" for name, weight in sorted(self.losses.items())]
        outliers = [f"{rows:,} by {name}" for name, rows in sorted(self.outliers.items())]
        parts = [f"losses {joined_words(losses)}" if losses else "", f"outliers {joined_words(outliers)}"]
        return ", ".join([f"score {self.score}", *filter(None, parts)])
