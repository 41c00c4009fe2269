"""What holds for every test: property tests make the same cases each time, and new ones only in `./just soak`."""

from hypothesis import settings

settings.register_profile("test", derandomize=True, database=None, deadline=None)
settings.register_profile("soak", deadline=None, max_examples=5000)
settings.load_profile("test")
