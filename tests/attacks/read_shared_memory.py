"""Read what programs of others share in files in memory: a run with programs has a /dev/shm too, and sees no other."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(given["shared_file"]) as file:
        return file.read()
""",
    stopped_by=("landlock", "mount-namespace"),
    refused="FileNotFoundError 2",
    stopped_for_user=("landlock", "mount-namespace"),
    programs=True,
    got=lambda found, given: found == "what others share",
)
