import sys
from pathlib import Path

from .process import main

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
