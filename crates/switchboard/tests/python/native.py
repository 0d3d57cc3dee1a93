"""The native protocol's frames, for asyncio: a length of four bytes, big-endian, and the data."""

import asyncio
import os
import struct

ECHO = b"/switchboard/echo"


def frame(data):
    return struct.pack(">I", len(data)) + data


def message(channel, data):
    return frame(channel) + frame(data)


async def receive(reader):
    """The next frame's data, or None at the end of the stream. A torn one or a reset is an error."""
    try:
        header = await reader.readexactly(4)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    (length,) = struct.unpack(">I", header)
    return await reader.readexactly(length)


async def confirmed(reader, writer, on_message=None):
    """Returns when the server has dealt with everything that was sent before."""
    token = os.urandom(16)
    writer.write(message(ECHO, token))
    await writer.drain()
    while (data := await receive(reader)) != token:
        if data is None:
            raise ConnectionError("the server closed before it confirmed")
        if on_message:
            on_message(data)


def channel_arguments(parser, option):
    """A channel's name, as text or in hexadecimal digits."""
    names = parser.add_mutually_exclusive_group()
    names.add_argument(option, dest="channel", type=os.fsencode, default=b"/topic/foo")
    names.add_argument(option + "-hex", dest="channel", type=bytes.fromhex)
