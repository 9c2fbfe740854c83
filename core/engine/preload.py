"""Imported by the fork server: it imports the worker module, so that every worker begins with torch already loaded.

An error must not end the fork server: each worker then meets the error itself and tells it in words.
"""

import gc
import importlib
import os
import traceback

NAME = "LAYERLAB_PRELOAD"  # the environment variable that names the worker module

if NAME in os.environ:
    gc.disable()  # nothing of what is imported becomes garbage; looking for some takes a tenth of the time
    try:
        importlib.import_module(os.environ[NAME])
        gc.collect()
        gc.freeze()  # a collection writes to every object it looks at: a forked worker would copy all of torch's
    except BaseException:  # noqa: BLE001 (see above)
        traceback.print_exc()
    gc.enable()
