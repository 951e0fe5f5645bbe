"""Entry point of ``python -m zeroloss``."""

import os
import sys

# BLAS libraries read these when they are first loaded. Results differ in the last digits with the number of threads,
# so it is fixed here and does not follow the machine; parallel work is the workflow's.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from zeroloss.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
