"""`python -m emulator` is `emulator`."""

import sys

from emulator.cli import main

sys.exit(main())
