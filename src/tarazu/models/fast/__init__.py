"""Faster ways to compute the same: each can be switched off, and then a library's way is taken.

Results differ from the library's in the last bits only, and where dropout draws, in what is drawn.
``TARAZU_PLAIN=attention,dropout`` (or ``all``) switches off for a whole command.
"""

from tarazu.models.fast.switches import Fast, switched, switches

__all__ = ["Fast", "switched", "switches"]
