"""The summary is flat, and says of the headline score what the whole report says."""

import pytest

from pipeline.report.metrics_json import summary
from pipeline.runtime.files import json_bytes
from tests.report.test_metrics_json import GROUPS, TABLE, reported


@pytest.fixture(scope="module")
def report():
    return reported(headline="msp")


def test_its_numbers_are_those_of_the_report(report):
    found, wanted = summary(report), report["groups"]["near"]["msp"]
    assert found["near_auroc"] == wanted["detector"]["auroc"]["mean"]
    assert found["near_fpr95"] == wanted["detector"]["fpr95_ood_pos"]["mean"]
    assert found["near_gain"] == pytest.approx(found["near_auroc"] - wanted["baseline"]["auroc"]["mean"])
    assert found["id_accuracy"] == pytest.approx(sum(TABLE.accuracy("detector")) / 3)
    assert found["id_accuracy_change"] == pytest.approx(found["id_accuracy"] - sum(TABLE.accuracy("baseline")) / 3)


def test_it_is_a_line_per_number_and_repeats(report):
    lines = json_bytes(summary(report)).splitlines()
    assert len(lines) == 2 + 8
    assert json_bytes(summary(report)).splitlines() == lines


@pytest.mark.parametrize("missing", ["near", "far"])
def test_a_group_without_sets_has_no_numbers(missing):
    groups = {group: [] if group == missing else sets for group, sets in GROUPS.items()}
    assert not [name for name in summary(reported(groups=groups)) if name.startswith(missing)]
