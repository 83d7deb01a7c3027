import sys
from pathlib import Path

if __name__ == "__main__":
    if sys.argv[2:3] == ["--merge"]:
        from .merging import merge

        sys.exit(merge(Path(sys.argv[1]), sys.argv[3]))
    from .process import main

    sys.exit(main(Path(sys.argv[1])))
