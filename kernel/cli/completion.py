"""`maniple completion` (acts)."""

from typing import Final

import click

from kernel.cli.frame import Session, command, write

# Fixes in click's scripts: zsh has compdef only after compinit was loaded, and fish would show a command's help only up to
# its first comma.
FIXES: Final = {
    "    compdef ": "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n    compdef ",
    'string split ","': 'string split --max 1 ","',
}


@command(json=False)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(session: Session, shell: str) -> None:
    """Print a script that lets a shell complete commands, options, names of Hands and methods, and ids of runs.

    maniple completion bash >> ~/.bashrc

    maniple completion zsh >> ~/.zshrc

    maniple completion fish > ~/.config/fish/completions/maniple.fish
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    assert found is not None, "click knows these three"
    source = found(root, {}, "maniple", "_MANIPLE_COMPLETE").source()
    for original, fixed in FIXES.items():
        source = source.replace(original, fixed)
    write(source + "\n")
