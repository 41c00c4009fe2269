"""Builds what the model reads before the conversation (pure).

The system prompt, what changes least first, so that a provider's cache serves it:

1. identity: who the agent is, how it should work, and how content from outside is marked
2. playbook: a file of its Hand
3. skills: their names and descriptions, and how to read one

The conversation then begins with 4. the earlier session, 5. what memory recalls for the task, 6. the task.
"""

from collections.abc import Sequence
from typing import Final

from runtime.agent import skills
from runtime.agent.actions import Brief
from runtime.agent.marks import Marks
from runtime.models.messages import Text

HOW: Final = (
    "You work unattended: nobody follows your messages, and nobody answers a question unless a tool asks a person. You can "
    "act only through your tools. If a call is refused, accept that; trying the same thing in another way will not help. "
    "Make calls that do not need one another's results in one answer. If a result was cut, or left out later, read the rest "
    "of it with read_result. Say what you could not do, and never claim to have done what you did not do. When the task is "
    "done, give your final answer without calling a tool."
)
JSON_ONLY: Final = "Your final answer must be JSON that matches the schema you were given, and nothing else."


def system_prompt(brief: Brief, marks: Marks) -> str:
    """Return identity, playbook and skills."""
    who = (
        f"You are {brief.name}, a Hand (an autonomous agent) of the agent operating system Maniple. {brief.description}"
    )
    parts = [who, HOW, marks.rules, JSON_ONLY if brief.schema is not None else "", brief.playbook.strip()]
    parts.append(skills.prompt(brief.skills, marks))
    return "\n\n".join(part for part in parts if part)


def task_message(text: str, recalled: Sequence[str]) -> tuple[Text, ...]:
    """Return the parts of the message with the task. recalled: what memory recalled for it, already marked."""
    if not recalled:
        return (Text(text=text),)
    shown = "\n".join(recalled)
    head = "What you remember that may concern this task; it may be outdated or wrong:"
    return Text(text=f"{head}\n{shown}"), Text(text=text)
