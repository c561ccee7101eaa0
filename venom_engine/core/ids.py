"""Task ids: time-ordered UUIDs, so that new tasks lie side by side in the store's index."""

import secrets
import time
from uuid import UUID


def new_task_id() -> str:
    """A version 7 UUID (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness."""
    bits = int(time.time() * 1000) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=bits & (1 << 128) - 1))
