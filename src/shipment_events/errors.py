"""The base class of every error that this package raises."""


class ShipmentEventsError(Exception):
    """Something that its reader can put right; ``str()`` is a sentence for people.

    Args:
        next_step: what to do now, a sentence or a command; empty where the message has it already.
    """

    def __init__(self, message: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step
        if next_step:
            # A traceback shows notes below the message.
            self.add_note(next_step)


class NotDeployedError(ShipmentEventsError):
    """The stage, or a part of it, is not there."""

    def __init__(self, message: str, stage: str = "") -> None:
        command = f"make deploy ENV={stage}" if stage else "make deploy"
        super().__init__(
            message,
            f"Deploy the stack with 'make up' (local engine) or '{command}' (AWS), or name another stage"
            " with --env.",
        )
