"""A libzmq peer that does what it is told: a JSON object a line in, one a line out."""

import json
import sys

import zmq
from zmq.auth.thread import ThreadAuthenticator

SYNC = b"m sync"
context = zmq.Context()
sockets = {}


def open_socket(order):
    socket = context.socket(getattr(zmq, order["type"]))
    for name, value in order.get("options", {}).items():
        value = value.encode() if isinstance(value, str) else value
        socket.setsockopt(getattr(zmq, name), value)
    if order["type"] == "SUB":
        socket.setsockopt(zmq.SUBSCRIBE, b"m")
    (socket.bind if order["bind"] else socket.connect)(order["endpoint"])
    if order["type"] == "XSUB":
        socket.send(b"\x01m")
    sockets[order["name"]] = socket
    return {"endpoint": socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()}


def authenticate(order):
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_plain(domain="*", passwords=order["passwords"])
    return {}


def payload(number, size):
    return b"m" + number.to_bytes(8, "big") + b"x" * max(0, size - 9)


def send(socket, order):
    parts = order.get("parts", 1)
    for number in range(order["first"], order["first"] + order["count"]):
        message = payload(number, order["size"])
        socket.send_multipart([message] + [b"part %d" % part for part in range(1, parts)])
    return {}


def try_send(socket, order):
    """Until there is no room, or so many are sent."""
    for sent in range(order["most"]):
        try:
            socket.send(payload(order["first"] + sent, order["size"]), zmq.NOBLOCK)
        except zmq.Again:
            return {"sent": sent}
    return {"sent": order["most"]}


def receive(socket, order):
    """So many messages, or those that come until nothing has come for a while."""
    numbers, sizes, parts = [], set(), set()
    while len(numbers) < order["count"] and socket.poll(order["timeout"]):
        frames = socket.recv_multipart()
        if frames[0] != SYNC:
            numbers.append(int.from_bytes(frames[0][1:9], "big"))
            sizes.add(len(frames[0]))
            parts.add(len(frames))
    return {"numbers": numbers, "sizes": sorted(sizes), "parts": sorted(parts)}


def got_sync(socket, order):
    if not socket.poll(order["timeout"]):
        return {"got": False}
    return {"got": socket.recv() == SYNC}


def close(order):
    socket = sockets.pop(order["name"])
    socket.close(linger=order["linger"])
    return {}


for line in sys.stdin:
    order = json.loads(line)
    action = order["do"]
    if action == "open":
        answer = open_socket(order)
    elif action == "authenticate":
        answer = authenticate(order)
    elif action == "close":
        answer = close(order)
    elif action == "sync":
        sockets[order["name"]].send(SYNC)
        answer = {}
    else:
        actions = {"send": send, "try_send": try_send, "receive": receive, "got_sync": got_sync}
        answer = actions[action](sockets[order["name"]], order)
    print(json.dumps(answer), flush=True)
