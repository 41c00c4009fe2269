"""A HAND.toml that says everything, and the Manifest of a small one, for the tests of manifests."""

from manifests.schema import Capability, HandSection, Manifest

EVERYTHING = """
[hand]
name = "monitoring"
version = "1.2.0-rc.1+build.7"
description = "Watches hosts, files and endpoints and speaks up when they change."
entry = "monitoring.main:Monitoring"
kind = "service"
autonomy = "readonly"
isolation = "exec"
autostart = true
idle = "90s"
needs = ["web", "data-pipeline"]

[capabilities]
"web.fetch" = ["https://*.example.org/**", "http://[::1]:8080/*?q=*"]
"files.read" = ["reports/**"]
"memory.*" = ["own"]
"machine.stats" = ["*"]
"web.connect" = { allow = ["feeds.example.org:443"], own = true }
"kernel.spawn" = ["data-pipeline"]

[provides."monitoring.check"]
summary = "Check one target now"
resource = "url"
effect = "external"
idempotent = true
labels = ["web"]
params = { timeout = "duration?", expect = "string?" }
returns = { status = "int", body = "string" }

[events]
publishes = ["alert", "recovered"]
subscribes = ["data-pipeline.loaded", "web.*"]

[limits]
memory = "128MiB"
cpu = "30s"
wall = "500ms"
processes = 4
open_files = 32
file_size = "0B"
calls_per_minute = 60
in_flight = 2

[restart]
when = "always"
times = 3
within = "2m"

[confinement]
roots = true
require = ["landlock", "seccomp"]
network = "host"
outside_read = ["/proc", "/sys"]

[settings.target]
type = "string"
required = true
help = "What to watch"

[settings.every]
type = "duration"
default = "15m"
min = "1s"
max = "1d"

[settings.level]
type = "string"
choices = ["low", "high"]
default = "low"

[settings.token]
type = "string"
secret = true

[settings.steps]
type = "list"
default = [{ select = ["a", "b"] }]

[requires]
binaries = ["ffmpeg"]
env = ["SLACK_TOKEN"]
"""


def manifest(*capabilities: Capability, name: str = "watcher", version: str = "1.0.0") -> Manifest:
    """A service that asks for these capabilities and nothing else."""
    return Manifest(
        hand=HandSection(
            name=name, version=version, description="Watches.", entry="main:Watcher", kind="service", autonomy="full"
        ),
        capabilities=capabilities,
    )


def cap(method: str, *allow: str, own: bool = False) -> Capability:
    """A capability in one line."""
    return Capability(method=method, allow=allow, own=own)
