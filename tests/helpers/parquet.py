"""Damage to the metadata of Parquet files that ends a process, so it is tried in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
{imports}

file = Path(sys.argv[1])
content = file.read_bytes()
footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
for place in (place for place in range(footer, len(content) - 8) if content[place] == 2):
    broken = bytearray(content)
    broken[place] ^= 0x10
    file.write_bytes(broken)
    try:
        {read}
    except ({errors}):
        pass
"""


def read_with_broken_statistics(file, imports, read, errors):
    """Run the code `read`, which reads `file`, once for each byte of its metadata that may be a list's length.

    pyarrow 26 aborts when it is asked for a column's metadata whose list of statistics has another length. The process
    imports no more than `imports` says: with PyTorch beside it pyarrow's threads may abort as the process ends.
    """
    program = PROGRAM.format(imports=imports, read=read, errors=errors)
    command = [sys.executable, "-c", program, str(file)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
