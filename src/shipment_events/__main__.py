"""Entry point of ``shipments``. Ctrl-C ends it without a traceback even during the imports."""

import signal
import sys


def main() -> None:
    """Run the command line."""
    try:
        from shipment_events.cli import main as commands  # noqa: PLC0415 - it takes half a second
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit(f"error: the command line needs {error.name}: pip install 'shipment-events[cli]'")
    commands()


if __name__ == "__main__":
    main()
