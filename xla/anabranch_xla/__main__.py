"""`python -m anabranch_xla DIR -o RUN`"""

import argparse
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(prog="anabranch_xla", description="Train what `anabranch export xla` wrote.")
    parser.add_argument("artefact", type=Path, help="the folder that `anabranch export xla` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write the run: a folder that is not there yet")
    parser.add_argument("--epochs", type=int, help="epochs, in the place of the config's")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"`{arguments.output}` exists, and is kept")
    from .train import run

    run(arguments.artefact, arguments.output, arguments.epochs)


if __name__ == "__main__":
    main()
