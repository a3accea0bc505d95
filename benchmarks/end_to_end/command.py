"""``shipments`` as users run it; its peak memory goes into the file that ``PEAK_MEMORY_FILE`` names."""

import os
from pathlib import Path

from benchmarks.peak_memory import peak_resident_bytes
from shipment_events.cli import main

if __name__ == "__main__":
    try:
        main(prog_name="shipments")
    finally:
        Path(os.environ["PEAK_MEMORY_FILE"]).write_text(str(peak_resident_bytes()), encoding="ascii")
