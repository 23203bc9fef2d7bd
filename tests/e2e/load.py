"""Callers that send mails one after the other until they are told to stop, and count what fails."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable


class Load:
    """Half of the callers open a connection for each mail, the others keep theirs for as long as it lasts. `where` is asked for
    the address of each new connection, as the Service of a cluster would be."""

    def __init__(self, callers: int, where: Callable[[], str], token: Callable[[], str]) -> None:
        self.where = where
        self.token = token
        self.stopping = threading.Event()
        self.answers: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.call, args=(number % 2 == 0,), daemon=True) for number in range(callers)]
        for thread in self.threads:
            thread.start()

    def call(self, keep_alive: bool) -> None:
        connection = None
        # Bounded, whatever happens to the test.
        until = time.monotonic() + 120
        while not self.stopping.is_set() and time.monotonic() < until:
            try:
                connection = connection or http.client.HTTPConnection(self.where(), 8080, timeout=10)
                mail = json.dumps({"to": "load@mail.example", "subject": "Load", "text": "One of many."})
                headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
                connection.request("POST", "/send", mail, headers)
                response = connection.getresponse()
                response.read()
                result = str(response.status)
                if response.will_close or not keep_alive:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                result = type(error).__name__
                connection = None
            with self.lock:
                self.answers[result] += 1
            time.sleep(0.005)

    def sent(self) -> int:
        with self.lock:
            return sum(self.answers.values())

    def stop(self) -> Counter[str]:
        """Ends the callers after their current mail. How often each answer was seen."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self.answers
