"""An unmodified stomp.py in one version, against a broker: stomp_py.py VERSION HOST PORT. Prints "ok" or fails."""

import queue
import sys
import uuid

import stomp

VERSION, HOST, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
KIND = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}[VERSION]
# Generous: what is waited for comes, or the test fails.
PATIENCE = 30


class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.messages, self.receipts, self.errors = queue.Queue(), queue.Queue(), queue.Queue()
        self.disconnected = queue.Queue()

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_disconnected(self):
        self.disconnected.put(True)

    def message(self):
        return self.messages.get(timeout=PATIENCE)


def connect(**options):
    if VERSION != "1.0":
        options.setdefault("heartbeats", (0, 0))
    connection = KIND([(HOST, PORT)], **options)
    listener = Listener()
    connection.set_listener("", listener)
    connection.connect("user", "pass:word\\", wait=True)
    return connection, listener


def settle(connection, listener):
    """Waits until everything before was carried out."""
    receipt = str(uuid.uuid4())
    connection.send("/topic/nobody", "", receipt=receipt)
    assert listener.receipts.get(timeout=PATIENCE) == receipt


def ack(connection, frame, nack=False):
    act = connection.nack if nack else connection.ack
    if VERSION == "1.2":
        act(frame.headers["ack"])
    elif VERSION == "1.1":
        act(frame.headers["message-id"], frame.headers["subscription"])
    else:
        act(frame.headers["message-id"])


def topics():
    one, heard = connect()
    two, also = connect()
    one.subscribe("/topic/py/*", id="a:b\\c" if VERSION != "1.0" else "ab")
    two.subscribe("/topic/py/x", id="2")
    settle(one, heard), settle(two, also)
    value = "a:b\nc\\d" if VERSION != "1.0" else "abcd"
    one.send("/topic/py/x", "h\u00e9llo", color=value)
    for listener in (heard, also):
        frame = listener.message()
        assert frame.body == "h\u00e9llo", frame.body
        assert frame.headers["color"] == value, frame.headers
        assert frame.headers["destination"] == "/topic/py/x"
    one.unsubscribe("a:b\\c" if VERSION != "1.0" else "ab")
    settle(one, heard)
    one.send("/topic/py/x", "second")
    assert also.message().body == "second"
    settle(one, heard)
    assert heard.messages.empty()
    one.disconnect(), two.disconnect()


def cumulative_acks():
    name = "/queue/py/client"
    connection, listener = connect()
    connection.subscribe(name, id="1", ack="client")
    for number in range(250):
        connection.send(name, str(number))
    for number in range(250):
        frame = listener.message()
        assert frame.body == str(number)
        # Fewer than the prefetch.
        if number % 50 == 49 and number < 249:
            ack(connection, frame)
    settle(connection, listener)
    connection.disconnect()
    connection, listener = connect()
    connection.subscribe(name, id="1", ack="client")
    for number in range(200, 250):
        frame = listener.message()
        assert frame.body == str(number), frame.body
    ack(connection, frame)
    settle(connection, listener)
    assert listener.messages.empty()
    connection.disconnect()


def individual_acks():
    name = "/queue/py/individual"
    connection, listener = connect()
    connection.subscribe(name, id="1", ack="client-individual")
    for number in range(4):
        connection.send(name, str(number))
    frames = [listener.message() for _ in range(4)]
    ack(connection, frames[2])
    if VERSION != "1.0":
        ack(connection, frames[0], nack=True)
        frames.append(listener.message())
        assert frames[-1].body == "0"
    settle(connection, listener)
    connection.disconnect()
    connection, listener = connect()
    connection.subscribe(name, id="1", ack="auto")
    assert [listener.message().body for _ in range(3)] == ["0", "1", "3"]
    connection.disconnect()


def groups():
    name = "/queue/py/groups"
    consumers = [connect() for _ in range(3)]
    for connection, listener in consumers:
        connection.subscribe(name, id="1", ack="client-individual", headers={"prefetch-count": "2"})
        settle(connection, listener)
    for number in range(60):
        consumers[0][0].send(name, str(number), headers={"JMSXGroupID": f"group {number % 7}"})
    settle(*consumers[0])
    # Nobody acks yet: each group that was begun has one consumer.
    got = {}
    for index, (connection, listener) in enumerate(consumers):
        for _ in range(2):
            frame = listener.message()
            got.setdefault(frame.headers["JMSXGroupID"], []).append((index, int(frame.body), frame))
    seen = []
    while sum(map(len, got.values())) + len(seen) < 60 or any(got.values()):
        for messages in got.values():
            while messages:
                index, number, frame = messages.pop(0)
                seen.append(number)
                ack(consumers[index][0], frame)
        for index, (connection, listener) in enumerate(consumers):
            settle(connection, listener)
            while not listener.messages.empty():
                frame = listener.messages.get()
                others = got.setdefault(frame.headers["JMSXGroupID"], [])
                assert all(other == index for other, *_ in others), "a group has one consumer at a time"
                others.append((index, int(frame.body), frame))
    for group in range(7):
        own = [number for number in seen if number % 7 == group]
        assert own == list(range(group, 60, 7)), own
    for connection, _ in consumers:
        connection.disconnect()


def transactions():
    connection, listener = connect()
    connection.subscribe("/topic/py/t", id="1")
    transaction = connection.begin()
    connection.send("/topic/py/t", "in", transaction=transaction)
    connection.send("/topic/py/t", "out")
    assert listener.message().body == "out"
    connection.commit(transaction)
    assert listener.message().body == "in"
    transaction = connection.begin()
    connection.send("/topic/py/t", "never", transaction=transaction)
    connection.abort(transaction)
    settle(connection, listener)
    assert listener.messages.empty()
    connection.disconnect()


def bytes_and_sizes():
    connection, listener = connect(auto_decode=False)
    connection.subscribe("/queue/py/bytes", id="1")
    for body in [b"", b"\0", b"a\0b\n\0", bytes(range(256)) * 400, b"x" * 3_000_000]:
        connection.send("/queue/py/bytes", body)
        frame = listener.message()
        # stomp.py gives an empty body as nothing.
        assert (frame.body or b"") == body, (len(body), frame.body[:80] if frame.body else frame.body)
    connection.disconnect()


def errors():
    connection, listener = connect()
    connection.send("/exchange/amq.topic/x", "refused", receipt="r")
    frame = listener.errors.get(timeout=PATIENCE)
    assert "exchanges" in frame.body, frame
    assert frame.headers["receipt-id"] == "r"
    assert listener.disconnected.get(timeout=PATIENCE)


def heartbeats():
    if VERSION == "1.0":
        return
    connection, listener = connect(heartbeats=(1000, 1000))
    # Longer than both may be silent. stomp.py grants half a beat, which a shorter one would not leave a busy machine.
    assert not wait_for(listener.disconnected, 4)
    assert connection.is_connected()
    settle(connection, listener)
    connection.disconnect()


def wait_for(events, seconds):
    try:
        return events.get(timeout=seconds)
    except queue.Empty:
        return None


def sent_and_gone():
    connection, listener = connect()
    connection.subscribe("/queue/py/gone", id="1")
    settle(connection, listener)
    for number in range(20):
        other, _ = connect()
        other.send("/queue/py/gone", str(number))
        other.disconnect()
        assert listener.message().body == str(number)
    connection.disconnect()


for case in (topics, cumulative_acks, individual_acks, groups, transactions, bytes_and_sizes, errors, heartbeats, sent_and_gone):
    print(case.__name__, file=sys.stderr, flush=True)
    case()
print("ok")
