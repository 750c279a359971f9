"""Why a request gets no result."""


class RefusedError(Exception):
    """Contents of the page and the JSON of a refusal.

    Parameters
    ----------
    status
        Of HTTP.
    code, cause, remedy
        As in `dmdbt.errors.InputDataError`.
    retry_after
        Seconds, where the same request may succeed later.
    """

    def __init__(self, status: int, code: str, *, cause: str, remedy: str, retry_after: int | None = None) -> None:
        self.status, self.code, self.cause, self.remedy, self.retry_after = status, code, cause, remedy, retry_after
        super().__init__(f"E-{code} cause={cause} remedy={remedy}")
