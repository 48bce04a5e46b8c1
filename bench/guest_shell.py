"""A guest that runs commands which the host gives it over its console."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time

import runs

# What the guest runs.
SCRIPT = (runs.ROOT / "bench/load/shell.sh").read_text(encoding="utf-8")
MOST_TEXT = 4 << 20  # of one command


class GuestShell:
    """A monitor's process whose guest runs SCRIPT on its serial console."""

    def __init__(self, argv, patience, end=None):
        self.text = ""
        self.end = end  # the line that ends it in good order
        self.patience = patience  # seconds of silence until it counts as hung
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [str(arg) for arg in argv], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)

    def __enter__(self):
        try:
            self._wait_for("<ready>")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.end and self._ends_itself():
            return
        self.process.send_signal(signal.SIGINT)  # frees disk and tap at once
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _ends_itself(self):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.process.stdin.write(self.end.encode() + b"\n")
            self.process.wait(self.patience)
            self.process.stdin.close()
            self.process.stdout.close()
            return True
        return False

    def _wait_for(self, pattern):
        """What came before a match of pattern, and the match."""
        while not (found := re.search(pattern, self.text)):
            ready = select.select([self.process.stdout], [], [], self.patience)
            if not ready[0]:
                raise runs.NoAnswer("the guest does not answer: "
                                    + self.text[-300:].strip())
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise runs.RunFailed("the guest ends: "
                                     + self.text[-300:].strip())
            self.text += data.decode(errors="replace")
            if len(self.text) > MOST_TEXT:
                raise runs.RunFailed("the guest prints without end: "
                                     + self.text[-300:].strip())
        before, self.text = self.text[:found.start()], self.text[found.end():]
        return before, found

    def run(self, command):
        """The output of a line of shell that must end well."""
        self.process.stdin.write(command.encode() + b"\n")
        output, found = self._wait_for(r"<done (\d+)>\r?\n")
        if found[1] != "0":
            raise runs.RunFailed(f"{command}: exit status {found[1]}: "
                                 + output[-300:].strip())
        return output

    def settle(self, seconds):
        """Lets what the guest still has to do after its start be done."""
        self.run("true")
        time.sleep(seconds)
