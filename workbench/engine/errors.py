"""What the local engine's commands report instead of a traceback."""


class LocalEngineError(Exception):
    """Something about the local engine that its user can put right.

    ``message`` says what is wrong, ``hint`` what to do next; ``str()`` gives both, on lines of their own.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"
