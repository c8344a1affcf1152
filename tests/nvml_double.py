"""A double of NVIDIA's library, as a real shared object: what loads it is the real thing.

`NVML_DOUBLE` says what it plays: `gpus=4`, `split=1` (GPU 1 is split in two), `lost=2`, and one of
`no_driver`, `hangs`, `crashes`; separated by commas.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

LIBRARY = "libnvidia-ml.so.1"
_SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, NO_DRIVER = 9, LOST = 15 };
typedef struct { int gpu; int part; } device;
static device devices[64];

static int asked(const char *key, int otherwise) {
  const char *all = getenv("NVML_DOUBLE"), *at = all ? strstr(all, key) : NULL;
  if (!at) return otherwise;
  at += strlen(key);
  return *at == '=' ? atoi(at + 1) : 1;
}
static device *of(int gpu, int part) {
  device *d = &devices[gpu * 4 + part + 1];
  d->gpu = gpu; d->part = part;
  return d;
}
int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  if (asked("no_driver", 0)) return NO_DRIVER;
  if (asked("hangs", 0)) pause();
  if (asked("crashes", 0)) abort();
  return OK;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return code == LOST ? "GPU is lost" : "Driver Not Loaded"; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = asked("gpus", 0); return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, device **d) {
  if ((int)i == asked("lost", -1)) return LOST;
  *d = of(i, -1);
  return OK;
}
int nvmlDeviceGetUUID(device *d, char *text, unsigned room) {
  if (d->part < 0) snprintf(text, room, "GPU-00000000-0000-4000-8000-%012d", d->gpu);
  else snprintf(text, room, "MIG-00000000-0000-4000-8000-%010d%02d", d->gpu, d->part);
  return OK;
}
int nvmlDeviceGetName(device *d, char *text, unsigned room) {
  snprintf(text, room, d->part < 0 ? "NVIDIA Double 80GB" : "NVIDIA Double 80GB MIG 3g.40gb");
  return OK;
}
int nvmlDeviceGetMemoryInfo(device *d, unsigned long long *m) {
  m[0] = (d->part < 0 ? 80ull : 40ull) << 30; m[2] = 1ull << 30; m[1] = m[0] - m[2];
  return OK;
}
int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
  if (d->part >= 0) return NOT_SUPPORTED;
  *major = 9; *minor = 0;
  return OK;
}
struct pci { char old[16]; unsigned domain, bus, device, id, sub; char text[32]; };
int nvmlDeviceGetPciInfo_v3(device *d, struct pci *p) {
  memset(p, 0, sizeof *p);
  snprintf(p->text, sizeof p->text, "00000000:%02X:00.0", 15 + d->gpu);
  return OK;
}
int nvmlDeviceGetSerial(device *d, char *text, unsigned room) {
  (void)d; (void)text; (void)room;
  return NOT_SUPPORTED;
}
int nvmlDeviceGetMigMode(device *d, unsigned *now, unsigned *next) {
  if (asked("split", -2) == -2) return NOT_SUPPORTED;
  *now = *next = d->gpu == asked("split", -1);
  return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *n) { (void)d; *n = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned i, device **part) {
  if (i > 2 || i == 1) return NOT_FOUND;
  *part = of(d->gpu, i);
  return OK;
}
"""


def build(folder: Path) -> Path:
    """Make the library in `folder`, for LD_LIBRARY_PATH; without a compiler the test is skipped."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = folder / "nvml_double.c"
    source.write_text(_SOURCE)
    command = (compiler, "-shared", "-fPIC", "-Wall", "-o", str(folder / LIBRARY), str(source))
    subprocess.run(command, check=True, timeout=60)
    return folder
