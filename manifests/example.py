"""A complete HAND.toml (pure), the example at the top of the reference."""

from typing import Final

EXAMPLE: Final = """\
[hand]
name = "rain-watch"
version = "1.0.0"
description = "Says each morning whether it will rain."
entry = "main:RainWatch"
kind = "task"
autonomy = "supervised"

[capabilities]
"web.fetch" = ["https://weather.example.org/**"]
"files.write" = ["reports/**"]

[settings.town]
type = "string"
required = true
help = "Of which town"

[limits]
memory = "128MiB"
wall = "5m"
"""

HEAD: Final = (
    "# HAND.toml",
    "",
    "HAND.toml is the manifest of a Hand. `maniple new NAME` creates a Hand with a valid one. Unknown keys, wrong types and",
    "bad values are errors; `maniple check DIR` reports all of them at once. A complete example:",
    "",
    f"```toml\n{EXAMPLE}```",
)
