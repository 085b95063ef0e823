"""`python -m export RUN OUTPUT --format serving|tflite` is `kerasgan export RUN OUTPUT ...`."""

import sys

from kerasgan.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
