"""The poller's server with pyzmq: the same numbers over a PUSH and a PUB socket."""

import itertools
import time

import zmq

context = zmq.Context()
pusher = context.socket(zmq.PUSH)
pusher.bind("tcp://*:5557")
publisher = context.socket(zmq.PUB)
publisher.bind("tcp://*:5556")
for number in itertools.count():
    time.sleep(0.01)
    pusher.send_json(number)
    publisher.send_json(number)
