"""`python -m flows <stage> <arguments…>`: run one stage, watched if there is a Prefect server to tell.

The server is the one that PREFECT_API_URL names, or else this checkout's own (`flows.server`). What runs is what
`python -m pipelines` runs; bytes, errors and exit status are those of the work.
"""

import sys

from flows.stage import watched
from pipelines.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], watched))
