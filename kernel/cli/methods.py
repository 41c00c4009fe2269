"""`maniple methods` (acts)."""

import json

import click

from kernel.cli import screen, spending
from kernel.cli.call import MethodRow, fetch_methods, unknown_method
from kernel.cli.frame import Session, command, method_names


@command()
@click.argument("prefix", metavar="[METHOD|HAND]", required=False, default="", shell_complete=method_names)
@click.option("--kernel", "with_kernel", is_flag=True, help="Also list the kernel's own methods.")
def methods(session: Session, prefix: str, with_kernel: bool) -> None:
    """List all methods that can be called: what each acts on, its effect and its arguments.

    METHOD shows one in full, HAND those of one Hand. To call one: `maniple call METHOD`.
    """
    with session.client() as client:
        known = rows = fetch_methods(client)
    if prefix:
        rows = tuple(row for row in known if row.method == prefix or row.method.startswith(f"{prefix}."))
        if not rows:
            raise unknown_method(prefix, known)
    elif not with_kernel:
        rows = tuple(row for row in rows if not row.method.startswith("kernel."))
    one = len(rows) == 1 and rows[0].method == prefix
    session.result({"methods": rows}, lambda: _full_text(rows[0]) if one else _drawn(rows))


def _drawn(rows: tuple[MethodRow, ...]) -> str:
    if not rows:
        return ""
    return screen.table(
        ("METHOD", "ACTS ON", "EFFECT", "ARGUMENTS", "WHAT IT DOES"),
        (
            (
                row.method,
                "" if row.resource == "none" else row.resource,
                row.effect,
                " ".join(f"{name}={of}" for name, of in row.params.items()),
                row.summary,
            )
            for row in rows
        ),
    )


def _json(schema: dict[str, object]) -> str:
    return json.dumps(schema, ensure_ascii=False)


def _full_text(row: MethodRow) -> str:
    return screen.fields(
        (
            ("method", row.method),
            ("", ""),
            ("does", row.summary),
            ("acts on", row.resource),
            ("effect", row.effect + (", may be made again" if row.idempotent else "")),
            ("arguments", "\n".join(f"{name}  {of}" for name, of in row.params.items()) or "none"),
            ("models read", "\n".join(f"{name}  {_json(schema)}" for name, schema in row.schemas.items())),
            ("returns", "\n".join(f"{name}  {of}" for name, of in row.returns.items())),
            ("costs at most", spending.cost_text(row.most)),
            ("labels", ", ".join(row.labels)),
            ("provider", row.provider),
        )
    )
