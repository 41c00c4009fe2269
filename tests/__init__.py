"""Tests named by behaviour, on real parts: no mocks of our own code, no sleeps, no network beyond this machine."""
