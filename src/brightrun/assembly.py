"""The only place where settings become objects: the studio with its database, files and machines, and who may enter."""

from __future__ import annotations

import ipaddress
import os
import secrets
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import URL

from brightrun.compute.base import Compute
from brightrun.compute.chat_process import ChatProcess
from brightrun.compute.local_process import LocalProcess
from brightrun.compute.static_worker import StaticWorker
from brightrun.database.database import Database
from brightrun.errors import InputError, MachineError
from brightrun.jobs.studio import Studio
from brightrun.settings import SECRET_LENGTH, Settings, setting_rows
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
from brightrun.web.access import Access, LoopbackAccess
from brightrun.web.options import WebOptions
from brightrun.web.sign_in import SignedInAccess

OWNER = "local"
"""Whose everything is that is made on this machine without a login; tokens are made for the same owner."""
BUCKET = "model-artifacts"
STATIC_WORKER = "static_worker"


def build_studio(settings: Settings) -> Studio:
    """The studio, its database brought to the newest tables.

    Raises:
        InputError: a setting is missing or cannot be used; it is named.
        MachineError: the home cannot be written.
        DatabaseUnavailable
    """
    home = make_home(settings)
    computes = build_computes(settings)
    secret = studio_secret(settings)
    database = open_database(settings)
    database.migrate()
    # Without a public address links are relative: they are good under every name the studio is reached by.
    signer = LinkSigner(secret.get_secret_value(), settings.public_url or "")
    token = settings.worker_token
    return Studio(
        database=database,
        storage=LocalFolder(storage_folder(settings), signer),
        computes=computes,
        models=settings.models.absolute(),
        home=home,
        webhook_secret=secret,
        default_compute=settings.compute,
        worker_tokens={STATIC_WORKER: token} if token is not None and STATIC_WORKER in computes else {},
        public_url=settings.public_url,
        open_chat=ChatProcess,
        monthly_budget_usd=settings.monthly_budget_usd,
        usd_per_hour=_own_prices(settings),
    )


def build_access(settings: Settings, studio: Studio) -> Access:
    """Without a login on this machine alone; with one as soon as anybody else may reach the studio."""
    if not asks_to_sign_in(settings):
        return LoopbackAccess(OWNER)
    public = urlsplit(settings.public_url or "").hostname
    hosts = None if public is None else {public.lower(), settings.host.lower(), "localhost", "127.0.0.1"}
    return SignedInAccess(studio.database, studio.webhook_secret, clock=studio.clock, hosts=hosts)


def build_web_options(settings: Settings) -> WebOptions:
    https = (settings.public_url or "").startswith("https://")
    return WebOptions(https=https, operator=OWNER, settings=setting_rows(settings))


def build_computes(settings: Settings) -> dict[str, Compute]:
    """The providers of machines that are set up; nothing is started or asked.

    Raises:
        InputError: a provider is half set up, or the default one is not.
    """
    computes: dict[str, Compute] = {
        LocalProcess.name: LocalProcess(workers_folder(settings), price=settings.local_usd_per_hour)
    }
    if settings.runpod_endpoint_url is not None:
        if settings.worker_token is None:
            raise InputError(
                "RUNPOD_ENDPOINT_URL is set, but TRAINING_WORKER_TOKEN is not.",
                hint="Set the token that the worker server was started with.",
            )
        computes[STATIC_WORKER] = StaticWorker(
            settings.runpod_endpoint_url,
            settings.worker_token.get_secret_value(),
            price=settings.worker_usd_per_hour,
        )
    if settings.compute not in computes:
        raise InputError(
            f"BRIGHTRUN_COMPUTE is {settings.compute}, which is not set up.",
            hint="Set RUNPOD_ENDPOINT_URL and TRAINING_WORKER_TOKEN, or choose local_process.",
        )
    return computes


def _own_prices(settings: Settings) -> dict[str, Decimal]:
    """What machines cost by their owner's word, by provider; those nobody said anything of are absent."""
    said = {LocalProcess.name: settings.local_usd_per_hour, STATIC_WORKER: settings.worker_usd_per_hour}
    return {provider: price for provider, price in said.items() if price is not None}


def open_database(settings: Settings) -> Database:
    """The database as it is; its tables may be older, or not there yet.

    Raises:
        InputError: its URL cannot be used.
    """
    if settings.database_url is not None:
        return Database(settings.database_url.get_secret_value())
    url = URL.create("sqlite", database=str(settings.home.absolute() / "studio.db"))
    return Database(url.render_as_string(hide_password=False))


def storage_folder(settings: Settings) -> Path:
    return settings.storage.absolute() / BUCKET


def workers_folder(settings: Settings) -> Path:
    """Records and logs of the worker processes on this machine."""
    return settings.home.absolute() / "workers"


def secret_path(settings: Settings) -> Path:
    """Where the webhook secret is kept that was made here."""
    return settings.home.absolute() / "secret"


def asks_to_sign_in(settings: Settings) -> bool:
    return not is_loopback(settings.host) or settings.public_url is not None


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_home(settings: Settings) -> Path:
    """The home, made if it was not there.

    Raises:
        MachineError: it cannot be made.
    """
    home = settings.home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"The folder {home} cannot be made: {error.strerror}.", hint="Set BRIGHTRUN_HOME to a folder of your own."
        ) from error
    return home


def studio_secret(settings: Settings) -> SecretStr:
    """The master of all jobs' secrets: from the settings, else made once and kept for its owner's eyes only.

    Raises:
        InputError: the kept one is damaged.
        MachineError: it cannot be kept or read.
    """
    if settings.webhook_secret is not None:
        return settings.webhook_secret
    path = secret_path(settings)
    try:
        if not path.exists():
            _keep_new_secret(path)
        kept = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise MachineError(
            f"The file {path} cannot be used: {error.strerror}.",
            hint="Make it yours, or set TRAINING_WEBHOOK_SECRET.",
        ) from error
    except UnicodeDecodeError:
        kept = ""
    if len(kept) < SECRET_LENGTH:
        raise InputError(
            f"The file {path} holds no secret.",
            hint="Set TRAINING_WEBHOOK_SECRET, or remove the file while no job runs; a new one is made then.",
        )
    return SecretStr(kept)


def _keep_new_secret(path: Path) -> None:
    """Whole or not at all, and never over one that another process made just now."""
    staging = path.with_name(f".{path.name}.{os.getpid()}.partial")
    staging.unlink(missing_ok=True)
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            path.hardlink_to(staging)
        except FileExistsError:
            return
    finally:
        staging.unlink(missing_ok=True)
