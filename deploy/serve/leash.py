"""Becomes the engine's process, which then ends with its parent: `python leash.py PARENT COMMAND...`.

A gateway that is killed with SIGKILL cannot clean up; without this its engine would live on and keep its memory. Linux
ends the engine itself (PR_SET_PDEATHSIG outlives exec); the children of llama-server's router notice that it is gone.
Other systems have nothing like it: there an engine outlives a gateway that was killed, never one that was stopped.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit("the gateway is gone already")
    os.execvp(command[0], command)
