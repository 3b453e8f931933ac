"""``python -m retr``: the same commands as ``retr``."""

from .cli import main

if __name__ == "__main__":
    main()
