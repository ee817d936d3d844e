"""pynetdicom's qrscp, without one fault of it.

While it sends an object for a C-MOVE, the thread of that association (`Association._run_reactor`, 3.0.4) may run
once more after it has said that it pauses. On a busy machine it then takes the C-STORE response for a
request and drops it: the move ends half a minute later with what it has sent so far. Here that thread takes
no message while it is told to pause.
"""

import sys

from pynetdicom.apps.qrscp import qrscp
from pynetdicom.dimse import DIMSEServiceProvider

take = DIMSEServiceProvider.get_msg


def get_msg(self, block=False):
    """The next message. Only the thread that may be told to pause does not wait for it."""
    if not block and not self.assoc._reactor_checkpoint.is_set():
        return None, None
    return take(self, block)


DIMSEServiceProvider.get_msg = get_msg
qrscp.main(sys.argv[1:])
