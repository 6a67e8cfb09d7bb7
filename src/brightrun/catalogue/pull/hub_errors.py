"""The hub's errors in our words, each with its fix and its cause kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from brightrun.errors import ModelError


@contextmanager
def translated(hub_id: str, revision: str | None = None, *, what: str = "model") -> Iterator[None]:
    """Raises ModelError in place of anything that a request to the hub may raise. `what`: what the repository holds."""
    # httpx2 is what huggingface-hub 2 itself requires and lets through when there is no connection.
    import httpx2
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise _gated(hub_id) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The hub knows no {what} {hub_id}, or it is private and this token may not see it.",
            hint=f"Check the spelling; for a private or gated {what} set HF_TOKEN, for instance in .env.",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{hub_id} has no revision {revision}.", hint="Leave the revision out.") from error
    except HFValidationError as error:
        raise ModelError(f"'{hub_id}' is not a hub id.", hint="A hub id looks like owner/name.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise _gated(hub_id) from error
        raise ModelError(
            f"The hub answered {status} for {hub_id}.", hint="Try again later; what was downloaded is kept."
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The download of {hub_id} broke off: {reason}",
            hint="Check connection and disk, then run the same command again; it continues where it stopped.",
        ) from error


def _gated(hub_id: str) -> ModelError:
    return ModelError(
        f"{hub_id} is gated: its license must be accepted first.",
        hint=f"Accept it on https://huggingface.co/{hub_id}, then set HF_TOKEN to a token of that account.",
    )
