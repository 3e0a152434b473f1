#!/usr/bin/env python3
"""Refuses an #include between folders that the architecture does not allow. Usage: check_includes.py ROOT"""
import pathlib
import re
import sys

# Each folder and what it may include of ours besides itself: folders, or prefixes of paths. The innermost folder of a file counts.
ALLOWED = {
    "model_spec": [],
    "hardware_profiles": ["model_spec/"],
    "simulator": ["model_spec/", "hardware_profiles/"],
    "kernels": [f"model_spec/{part}" for part in ("ops/", "dtype.h", "units.h", "number.h", "cost.h", "error.h")],
    "executor": ["model_spec/", "kernels/", "hardware_profiles/"],
    "cli": ["model_spec/", "hardware_profiles/", "simulator/", "kernels/", "executor/"],
    "gui/models": ["model_spec/", "hardware_profiles/", "simulator/", "cli/"],
    "gui": ["model_spec/", "hardware_profiles/", "simulator/", "cli/"],
    "tests": ["model_spec/", "hardware_profiles/", "simulator/", "kernels/", "executor/", "cli/", "gui/"],
}
# Headers of others that only some folders may include, and a test of such a folder.
CONFINED = [
    ("CUDA", re.compile(r"(cuda|cublas|cupti|curand|nccl|nvtx|nvml|cooperative_groups)"), ("kernels/cuda/", "executor/")),
    ("Qt", re.compile(r"(Q[A-Z]|Qt|qcustomplot)"), ("gui/",)),
    ("widget", re.compile(r"(Q(Widget|Application|MainWindow|Dialog|Graphics)|QtWidgets|qcustomplot)"), ("gui/widgets/", "gui/main.cpp")),
]
# Files, what they include, and whether they may: what the rules must say.
EXAMPLES = [
    ("gui/models/a.cpp", '"', "gui/models/b.h", True),
    ("gui/models/a.cpp", '"', "cli/b.h", True),
    ("gui/models/a.cpp", '"', "gui/widgets/b.h", False),
    ("gui/models/a.cpp", "<", "QString", True),
    ("gui/models/a.cpp", "<", "QWidget", False),
    ("tests/gui/models/a.cpp", "<", "QApplication", False),
    ("gui/widgets/a.cpp", '"', "gui/models/b.h", True),
    ("gui/widgets/a.cpp", "<", "QWidget", True),
    ("cli/a.cpp", "<", "QString", False),
    ("model_spec/a.cpp", '"', "simulator/b.h", False),
]
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def fault(file, bracket, target):
    """Why `file` must not include `target`, or None."""
    folder = max((f for f in ALLOWED if file.startswith(f"{f}/")), key=len)
    place = file.removeprefix("tests/")
    for name, pattern, places in CONFINED:
        if pattern.match(target) and not place.startswith(places):
            return f"a {name} header may be included in {' and '.join(places)} only"
    if bracket == "<":
        return None
    if "/" not in target or target.split("/")[0] not in ALLOWED:
        return "an include path starts at the root of the repository"
    if not target.startswith((f"{folder}/", *ALLOWED[folder])):
        return f"{folder} may include of ours: {', '.join([f'{folder}/', *ALLOWED[folder]])}"
    return None


def main(root):
    for file, bracket, target, may in EXAMPLES:
        assert (fault(file, bracket, target) is None) == may, (file, target)
    faults = 0
    for folder in (f for f in ALLOWED if "/" not in f):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".cu", ".cuh"):
                continue
            file = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                include = INCLUDE.match(line)
                why = include and fault(file, *include.groups())
                if why:
                    print(f"{file}:{number}: {include[2]}: {why}")
                    faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
