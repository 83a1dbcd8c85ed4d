"""`python -m scripts.forge`, the same as `forge`."""

import sys

from scripts.forge import main

# No guard: Python runs this file only as a program, and `multiprocessing` knows to leave a __main__ alone.
sys.exit(main())
