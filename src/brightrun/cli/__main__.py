"""`python -m brightrun.cli`: the command where its script is not on the path."""

from brightrun.cli.main import main

if __name__ == "__main__":
    main()
