"""grpclib in an asyncio loop; with --uvloop in one of uvloop's."""

import client
from asynchronous import Asynchronous
from client import METHODS, STREAM_MESSAGE_SIZE, check_count


def load(arguments):
    import grpclib
    import grpclib.client

    if arguments.uvloop:
        import uvloop  # noqa: F401, for --start to count it
    return grpclib


class Grpclib(Asynchronous):
    """grpclib's methods and streams, without messages of its own."""

    def __init__(self, library, arguments):
        super().__init__(library, arguments)
        self._codec = raw_codec()

    def _open(self, target, ssl=None):
        host, port = target.rsplit(":", 1)
        return self._library.client.Channel(host, int(port), ssl=ssl, codec=self._codec)

    def _open_tls(self, target):
        import ssl

        context = ssl.create_default_context(cafile=self._arguments.ca)
        context.set_alpn_protocols(["h2"])
        return self._open(target, context)

    async def _close(self, channel):
        channel.close()

    def _unary_method(self, channel):
        return self._library.client.UnaryUnaryMethod(channel, METHODS + "Unary", bytes, bytes)

    async def _streams_from_server(self, channel, request, messages, progress):
        method = self._library.client.UnaryStreamMethod(channel, METHODS + "Stream", bytes, bytes)
        while progress.is_open:
            before = progress.operations
            async with method.open() as stream:
                await stream.send_message(request, end=True)
                await receive(stream, STREAM_MESSAGE_SIZE, progress)
            check_count(progress.operations - before, messages)

    async def _blasts(self, channel, request, messages, progress):
        method = self._library.client.StreamStreamMethod(channel, METHODS + "Bidi", bytes, bytes)
        while progress.is_open:
            before = progress.operations
            async with method.open() as stream:
                await stream.send_request()
                sending = self._loop.create_task(send(stream, request, messages))
                await receive(stream, len(request), progress)
                await sending
            check_count(progress.operations - before, messages)

    async def _back_and_forth(self, channel, request, progress):
        size = len(request)
        method = self._library.client.StreamStreamMethod(channel, METHODS + "Bidi", bytes, bytes)
        async with method.open() as stream:
            while progress.is_open:
                await stream.send_message(request)
                if len(await stream.recv_message()) != size:
                    raise client.WrongAnswer("a message of another size")
                progress.operations += 1
            await stream.end()


async def send(stream, request, messages):
    for _ in range(messages):
        await stream.send_message(request)
    await stream.end()


async def receive(stream, size, progress):
    async for message in stream:
        if len(message) != size:
            raise client.WrongAnswer("a message of another size")
        progress.operations += 1


def raw_codec():
    """Bytes in, bytes out. grpclib insists that an answer's content type is that of the request."""
    from grpclib.encoding.base import CodecBase

    class Raw(CodecBase):
        __content_subtype__ = "proto"

        def encode(self, message, message_type):
            return message

        def decode(self, data, message_type):
            return data

    return Raw()


if __name__ == "__main__":
    client.main("grpclib, asyncio", load, Grpclib)
