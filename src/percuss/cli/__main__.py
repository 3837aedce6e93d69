"""``python -m percuss.cli``: the same as ``percuss``, where the shell does not find that."""

from percuss.cli.app import main

if __name__ == "__main__":
    main()
