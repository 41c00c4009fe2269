"""Use up what may be watched (epoll), which counts per user: 100,000 watches by 256 descriptors."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import select

def attack(hand, given):
    events, watchers, watches = [os.eventfd(0) for _ in range(100)], [select.epoll() for _ in range(100)], 0
    for event in events:
        for number in range(240, 250):  # a watch outlives its descriptor while another one of the same file is open
            os.dup2(event, number)
            for watcher in watchers:
                watcher.register(number)
                watches += 1
            os.close(number)
    return watches
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == 100_000,
    limits={"open_files": 256, "cpu": "10s"},
)
