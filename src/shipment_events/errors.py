"""The base class of every error that this package raises."""


class ShipmentEventsError(Exception):
    """An error that its reader can correct. ``str()`` gives a message for people.

    Args:
        next_step: what to do now, a sentence or a command. Empty if the message says it already.
    """

    def __init__(self, message: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step
        if next_step:
            # A traceback shows notes below the message.
            self.add_note(next_step)


class NotDeployedError(ShipmentEventsError):
    """The stage, or a part of it, is not deployed.

    Args:
        first: a sentence that says what to do before the deployment, with a space at its end.
    """

    def __init__(self, message: str, stage: str = "", *, first: str = "") -> None:
        command = f"make deploy ENV={stage}" if stage else "make deploy"
        check = "Check account, region and --env."
        super().__init__(message, f"{first}{check} To deploy: 'make up' (local engine) or '{command}' (AWS).")
