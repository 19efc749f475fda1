"""Stands between clients and a node: passes frames on, knows which requests are unanswered, and can cut a connection."""
import collections
import socket
import struct
import threading
import time

from harness import free_port

PRODUCE, FETCH, LIST_OFFSETS = 0, 1, 2


class Request:
    """A request that passed, and its response once that has passed."""

    def __init__(self, api):
        self.api = api
        self.asked_at = time.monotonic()
        self.answered_at = None
        self.response_bytes = None


class Proxy:
    """Listens on `port` as soon as it is made; `serve` says to where the connections lead."""

    def __init__(self):
        self.port = free_port()
        self.changed = threading.Condition()
        self.requests = []
        self.responses_to_cut = 0  # so many next Produce responses are swallowed, each with its connection
        self.cuts = 0

    def serve(self, node):
        self.target = node.port
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def cut_produce_responses(self, count):
        with self.changed:
            self.responses_to_cut, self.cuts = count, 0

    def forget(self):
        """Starts a new list of requests; those that are unanswered stay in it."""
        with self.changed:
            self.requests = [request for request in self.requests if request.answered_at is None]

    def of(self, api):
        with self.changed:
            return [request for request in self.requests if request.api == api]

    def await_request(self, api, answered, timeout_s=30):
        """Until a request of this kind is with the node, or has been answered."""
        def there():
            return any(request.api == api and (request.answered_at is not None) == answered for request in self.requests)

        with self.changed:
            assert self.changed.wait_for(there, timeout_s), f"no request of API {api} came"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            node = socket.create_connection(("127.0.0.1", self.target))
            for end in (client, node):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pending = collections.deque()  # the responses of a connection come in the order of its requests
            for source, sink, seen in ((client, node, self._request), (node, client, self._response)):
                threading.Thread(target=self._pump, args=(source, sink, seen, pending), daemon=True).start()

    def _pump(self, source, sink, seen, pending):
        stream = source.makefile("rb")
        try:
            while len(size := stream.read(4)) == 4:
                frame = stream.read(struct.unpack(">i", size)[0])
                if not seen(frame, pending):
                    break
                sink.sendall(size + frame)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.changed:  # what was unanswered will stay so
            for request in pending:
                self.requests = [other for other in self.requests if other is not request]

    def _request(self, frame, pending):
        api, version = struct.unpack_from(">hh", frame)
        if api == PRODUCE and self._acks(frame, version) == 0:
            return True  # is never answered
        with self.changed:
            request = Request(api)
            pending.append(request)
            self.requests.append(request)
            self.changed.notify_all()
        return True

    def _response(self, frame, pending):
        with self.changed:
            request = pending.popleft()
            request.answered_at = time.monotonic()
            request.response_bytes = len(frame)
            cut = request.api == PRODUCE and self.responses_to_cut > 0
            if cut:
                self.responses_to_cut -= 1
                self.cuts += 1
            self.changed.notify_all()
        return not cut

    @staticmethod
    def _acks(frame, version):
        at = 8 + 2 + max(0, struct.unpack_from(">h", frame, 8)[0])  # past api, version, correlation id, client id
        if version >= 9:  # flexible: no tagged fields in the header, a compact transactional id that is null
            return struct.unpack_from(">h", frame, at + 2)[0]
        return struct.unpack_from(">h", frame, at + 2 + max(0, struct.unpack_from(">h", frame, at)[0]))[0]
