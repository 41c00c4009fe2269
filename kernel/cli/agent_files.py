"""The files of an agent: what [agent] names in its folder, and its skills (pure). Read by `check`, and before an install."""

import json

from manifests.errors import Problem
from manifests.schema import Agent
from manifests.skills.reading import read_all


def problems(folder: str, agent: Agent, files: dict[str, bytes]) -> list[Problem]:
    """What is wrong with the files that [agent] names, and with its skills."""
    found: list[Problem] = []
    for key, file in (("playbook", agent.playbook), ("schema", agent.schema), ("task", agent.task)):
        shown = f"{folder.rstrip('/')}/{file}"
        if file and file not in files:
            found.append(
                Problem(shown, 1, 1, f"the file that {key} names is not there", f"write {file}, or change {key}")
            )
        elif file:
            try:
                text = files[file].decode()
                if key != "playbook" and not isinstance(json.loads(text), dict):
                    found.append(Problem(shown, 1, 1, f"this is no {key}", "write a JSON object"))
            except json.JSONDecodeError as error:
                found.append(
                    Problem(shown, error.lineno, error.colno, f"this is not JSON: {error.msg}", "mend the line")
                )
            except UnicodeDecodeError:
                found.append(Problem(shown, 1, 1, "this is not UTF-8 text", "save it as UTF-8"))
            except RecursionError:
                found.append(Problem(shown, 1, 1, "this is nested too deeply", "write a flatter object"))
            except ValueError:
                found.append(Problem(shown, 1, 1, "a number in it has too many digits", "write it with fewer"))
    return found + read_all(files, folder.rstrip("/"))[1]
