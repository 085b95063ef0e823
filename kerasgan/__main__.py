"""`python -m kerasgan` is the same as `kerasgan`."""

from kerasgan.cli import main

if __name__ == "__main__":
    main()
