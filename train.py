"""`python train.py --dataset adni` is the same as `kerasgan train --dataset adni`."""

import sys

from kerasgan.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
