"""`brightrun token`: API tokens for a studio that asks who is there. Kept as hashes; each is shown once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brightrun.cli.show import plain_table, print_json, problems, results
from brightrun.errors import NotFound
from brightrun.settings import read_settings

if TYPE_CHECKING:
    from brightrun.database.database import Database
    from brightrun.database.tables import ApiToken

app = typer.Typer(help="API tokens of this machine's studio: make one, list them, revoke one.", no_args_is_help=True)

LOCAL = "local"
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Owner = Annotated[
    str, typer.Option(help="Whose datasets and jobs the token reaches; `local` is who works here without a login.")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, so that you know which to revoke.")],
    owner: Owner = LOCAL,
    json: Json = False,
) -> None:
    """Make a token and show it, this once; only its hash is kept."""
    from brightrun.web.tokens import issue_token

    with _database() as database, database.session() as session:
        issued = issue_token(session, owner_id=owner, name=name, now=datetime.now(UTC))
        shown = {**_shown(issued.row), "token": issued.secret}
    if json:
        print_json(shown)
        return
    results.show_line(issued.secret)
    problems.show_line(
        "This is the only time it is shown. Programs send it as `Authorization: Bearer …`; for `brightrun job` put it "
        "into BRIGHTRUN_TOKEN."
    )


@app.command("list")
def list_tokens(owner: Owner = LOCAL, json: Json = False) -> None:
    """Show an owner's tokens, newest first; never the tokens themselves."""
    with _database() as database:
        rows = [_shown(row) for row in _tokens(database, owner)]
    if json:
        print_json({"data": rows})
        return
    if not rows:
        results.show_line("There is no token yet. Make one: brightrun token create NAME")
        return
    table = plain_table("", "id", "name", "begins with", "made", "last used", "state")
    table.columns[0].min_width = 36  # an id that is cut is no use
    for row in rows:
        made, used = _day(row["created_at"]), _day(row["last_used_at"])
        table.add_row(row["id"], row["name"], row["prefix"], made, used, "revoked" if row["revoked_at"] else "live")
    results.print(table, soft_wrap=True)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id in `token list`.")],
    owner: Owner = LOCAL,
    json: Json = False,
) -> None:
    """End a token, and every session that was opened with it, at once."""
    from brightrun.database import tokens

    with _database() as database:
        with database.session() as session:
            done = tokens.revoke(session, token, owner_id=owner, now=datetime.now(UTC))
        known = next((row for row in _tokens(database, owner) if row.id == token), None)
    if known is None:
        raise NotFound(f"There is no token {token[:80]}.", hint="Its id is in: brightrun token list")
    if json:
        print_json({**_shown(known), "revoked_now": done})
        return
    results.show_line("It is revoked." if done else "It was revoked before.")


def live_tokens(database: Database) -> int:
    """How many tokens open the studio now, of every owner."""
    from sqlalchemy import func, select

    from brightrun.database.tables import ApiToken

    with database.reading() as session:
        return session.scalar(select(func.count()).where(ApiToken.revoked_at.is_(None))) or 0


@contextmanager
def _database() -> Iterator[Database]:
    from brightrun.assembly import make_home, open_database

    settings = read_settings()
    make_home(settings)
    database = open_database(settings)
    try:
        database.migrate()
        yield database
    finally:
        database.close()


def _tokens(database: Database, owner: str) -> Iterator[ApiToken]:
    from brightrun.database import tokens

    after: str | None = None
    with database.reading() as session:
        while True:
            page = tokens.list_page(session, owner_id=owner, limit=200, after=after)
            yield from page.items
            if not page.has_more:
                return
            after = page.items[-1].id


def _shown(row: ApiToken) -> dict[str, Any]:
    dates = {name: getattr(row, name) for name in ("created_at", "last_used_at", "revoked_at")}
    told = {name: None if at is None else at.isoformat() for name, at in dates.items()}
    return {"id": row.id, "owner_id": row.owner_id, "name": row.name, "prefix": row.prefix, **told}


def _day(text: str | None) -> str:
    return "never" if text is None else text[:16].replace("T", " ")
