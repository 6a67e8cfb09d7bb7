"""`brightrun budget`: what this month may cost, what it has cost, and when the budget would be crossed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from brightrun.cli.show import plain_table, print_json, results
from brightrun.errors import InputError
from brightrun.settings import read_settings

if TYPE_CHECKING:
    from brightrun.cli.studio_client import StudioClient

app = typer.Typer(help="The month's budget of a running studio: show it, set it.", no_args_is_help=True)
BUDGET = "/api/training/budget"

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Dollars = Annotated[
    str | None, typer.Option(metavar="USD|none", help="Dollars per calendar month (UTC) over all jobs, or none.")
]
Cap = Annotated[str | None, typer.Option(metavar="USD|none", help="Cap of jobs that name none, or none.")]


@app.command()
def show(json: Json = False) -> None:
    """Show what may be spent this month, what is spent and promised to jobs, and what is to come."""
    with _client() as client:
        found = client.get(BUDGET)
    print_json(found) if json else _show(found)


@app.command("set")
def set_budget(month: Dollars = None, default_job_cap: Cap = None, json: Json = False) -> None:
    """Set the budget per month, the cap of jobs that name none, or both; what is not named stays."""
    if month is None and default_job_cap is None:
        raise InputError("Nothing is to be set.", hint="Give --month, --default-job-cap, or both.")
    with _client() as client:
        now = client.get(BUDGET)
        kept = None if now["is_default"] else now["monthly_budget_usd"]
        body = {
            "monthly_budget_usd": kept if month is None else _dollars(month),
            "default_job_cap_usd": now["default_job_cap_usd"] if default_job_cap is None else _dollars(default_job_cap),
        }
        found = client.put(BUDGET, body)
    print_json(found) if json else _show(found)


def _client() -> StudioClient:
    from brightrun.cli.studio_client import studio_client

    return studio_client(read_settings())


def _dollars(text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{text!a} is no amount of dollars.", hint="Write it as 120 or 99.50, or none.") from None


def _show(found: dict[str, Any]) -> None:
    table = plain_table(f"Budget of {found['month']}", "", ">")
    table.show_header = False
    of = "" if found["spent_percent"] is None else f"  ({found['spent_percent']:.0f} %)"
    default = "  (the studio's setting)" if found["is_default"] and found["monthly_budget_usd"] is not None else ""
    unknown = found["unestimated_jobs"]
    rows = {
        "budget": "no limit"
        if found["monthly_budget_usd"] is None
        else f"${found['monthly_budget_usd']:,.2f}{default}",
        "spent": f"${found['spent_usd']:,.2f}{of}",
        "promised to jobs": f"${found['reserved_usd']:,.2f}" + (f"  and {unknown} of unknown cost" if unknown else ""),
        "left": None if found["remaining_usd"] is None else f"${found['remaining_usd']:,.2f}",
        "machines run at": f"${found['usd_per_hour']:,.2f} an hour" if found["usd_per_hour"] else None,
        "forecast": f"${found['forecast_usd']:,.2f}",
        "crossed": None if found["crosses_at"] is None else f"{found['crosses_at'][:16].replace('T', ' ')} UTC",
        "cap of a job": None if found["default_job_cap_usd"] is None else f"${found['default_job_cap_usd']:,.2f}",
        "price unknown": f"{found['unpriced_leases']} machine(s), not counted" if found["unpriced_leases"] else None,
    }
    for label, value in rows.items():
        if value is not None:
            table.add_row(label, value)
    results.print(table, soft_wrap=True)
