"""The poller with pyzmq: prints what comes over a PULL and a SUB socket."""

import zmq

context = zmq.Context()
receiver = context.socket(zmq.PULL)
receiver.connect("tcp://localhost:5557")
subscriber = context.socket(zmq.SUB)
subscriber.connect("tcp://localhost:5556")
subscriber.setsockopt_string(zmq.SUBSCRIBE, "")
poller = zmq.Poller()
poller.register(receiver, zmq.POLLIN)
poller.register(subscriber, zmq.POLLIN)
while True:
    ready = dict(poller.poll())
    if receiver in ready:
        print(f"Via PULL: {receiver.recv_json()}", flush=True)
    if subscriber in ready:
        print(f"Via SUB: {subscriber.recv_json()}", flush=True)
