"""Checks an agent's files: those that [agent] names, and its skills (pure). Used by `check` and before an install."""

import json

from manifests import agent_task, answer_schemas
from manifests.errors import Problem
from manifests.schema import Agent
from manifests.skills.reading import read_all


def problems(folder: str, agent: Agent, files: dict[str, bytes]) -> list[Problem]:
    """All problems in the files that [agent] names, and in its skills."""
    folder = folder.rstrip("/")
    found: list[Problem] = []
    for key, file in (("playbook", agent.playbook), ("schema", agent.schema), ("task", agent.task)):
        shown = f"{folder}/{file}"
        if file and file not in files:
            what, mend = f"the file that {key} names is not there", f"write {file}, or change {key}"
            found.append(Problem(shown, 1, 1, what, mend))
        elif file and (problem := _file_problem(key, shown, files[file], agent)):
            found.append(problem)
    return found + read_all(files, folder)[1]


def _file_problem(key: str, shown: str, raw: bytes, agent: Agent) -> Problem | None:
    """The problem in a file that [agent] names by this key; None if it is valid."""
    try:
        text = raw.decode()
        value = {} if key == "playbook" else json.loads(text)
        if not isinstance(value, dict):
            return Problem(shown, 1, 1, f"this is not a {key}", "write a JSON object")
        if key == "schema" and (why := answer_schemas.find_fault(value)):
            return Problem(shown, 1, 1, f"this is not a schema: {why}", "write a JSON Schema")
        if key == "task" and (why := agent_task.find_fault(raw, has_schema=bool(agent.schema))):
            return Problem(shown, 1, 1, f"this is not a task: {why}", "write it as docs/models.md says, under Offline")
        return None
    except json.JSONDecodeError as error:
        return Problem(shown, error.lineno, error.colno, f"this is not JSON: {error.msg}", "mend the line")
    except UnicodeDecodeError:
        return Problem(shown, 1, 1, "this is not UTF-8 text", "save it as UTF-8")
    except RecursionError:
        return Problem(shown, 1, 1, "this is nested too deeply", "write a flatter object")
    except ValueError:
        return Problem(shown, 1, 1, "a number in it has too many digits", "write it with fewer")
