"""What holds for every test: property tests make the same cases each time, and new ones only in `./just soak`; and none
stands still for ever.
"""

from hypothesis import settings

from tests.overdue import (
    pytest_addoption,
    pytest_configure,
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_runtest_teardown,
    pytest_unconfigure,
)

__all__ = (
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_call",
    "pytest_runtest_setup",
    "pytest_runtest_teardown",
    "pytest_unconfigure",
)

settings.register_profile("test", derandomize=True, database=None, deadline=None)
settings.register_profile("soak", deadline=None, max_examples=5000)
settings.load_profile("test")
