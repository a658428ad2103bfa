"""Half a minute of what `make soak` does for five."""

import pytest

from tests.faults import soak
from tests.faults.conftest import Record


@pytest.mark.timeout(120)
def test_mixed_traffic_with_random_faults_mixes_up_loses_and_leaks_nothing(record: Record) -> None:
    report = soak.run(30)
    record("\n" + report.table())
    assert report.problems() == [], report.table()
    assert sum(report.done.values()) > 200
