"""What the model reads before the conversation, in an order that stays (pure).

1. identity: who it is, how it works, and how content from outside is marked
2. playbook: its own Hand's file
3. skills: their names and descriptions, and how one is read
then, as the conversation: 4. the session before, 5. what is remembered of the task, 6. the task.

What changes least comes first, so that a provider can keep it.
"""

from collections.abc import Sequence
from typing import Final

from runtime.agent import skills
from runtime.agent.actions import Brief
from runtime.agent.marks import Marks
from runtime.models.messages import Text

HOW: Final = (
    "You work unattended: nobody reads along, and nobody answers questions unless a tool asks them. Your tools are all that "
    "you may do; what they refuse is refused, and trying it in another way is no help. Ask for several tools at once "
    "where none needs what another brings. A result that is cut, or was left out since, you can read on with read_result. "
    "Say what you could not do, and never that you did what you did not. When the task is done, answer without a tool."
)
OF_SCHEMA: Final = "Your last answer is JSON of the schema that you were given, and nothing else."


def system(brief: Brief, marks: Marks) -> str:
    """Identity, playbook and skills."""
    who = f"You are {brief.name}, a Hand of Maniple. {brief.description}"
    parts = [who, HOW, marks.rules, OF_SCHEMA if brief.schema is not None else "", brief.playbook.strip()]
    parts.append(skills.listed_for_model(brief.skills, marks))
    return "\n\n".join(part for part in parts if part)


def task(text: str, remembered: Sequence[str]) -> tuple[Text, ...]:
    """The message with the task. remembered: what was recalled, marked."""
    if not remembered:
        return (Text(text=text),)
    shown = "\n".join(remembered)
    return Text(text=f"What you remember of it, which may be old or wrong:\n{shown}"), Text(text=text)
