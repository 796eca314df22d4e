"""Settings of Hypothesis for tests with many examples."""

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# An example has no deadline, because its time depends on the machine.
UNHURRIED = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
