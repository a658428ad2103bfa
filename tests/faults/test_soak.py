"""Half a minute of what `make soak` does for five."""

import pytest

from tests.faults import soak


@pytest.mark.timeout(120)
def test_mixed_traffic_with_random_faults_crosses_loses_and_leaks_nothing() -> None:
    report = soak.run(30)
    assert report.problems() == [], report.table()
    assert sum(report.done.values()) > 200
