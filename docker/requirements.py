"""Print what the project and its extras need, one requirement a line, read from pyproject.toml.

So that a layer of the image holds the packages, and is made anew only when they change, not with every line of code.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
extras = [name.strip() for name in "".join(sys.argv[1:]).split(",") if name.strip()]
known = project["optional-dependencies"]
if unknown := sorted(set(extras) - set(known)):
    sys.exit(f"EXTRAS names {unknown[0]}, expected some of: {', '.join(known)}")
sys.stdout.write("\n".join([*project["dependencies"], *(line for name in extras for line in known[name])]) + "\n")
