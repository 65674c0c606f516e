"""What the peers of the table do with a connection: one way each to spoil a call."""

from causes.peer import GRPC_HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS

HTML = "<html>no gRPC here</html>"
OK_TRAILERS = (("grpc-status", "0"),)


def says_nothing(connection):
    connection.stay()


def leaves_at_once(connection):
    connection.leave()


def begins_with(data):
    """Something else than HTTP/2, once the client has said something."""

    def play(connection):
        connection.read(5)
        connection.write(data)
        connection.leave()

    return play


def speaks_tls(context, then):
    def play(connection):
        then(connection.secure(context))

    return play


def greets_and_waits(settings=()):
    return lambda connection: connection.greet(settings).stay()


ALLOWS_NO_STREAMS = ((MAX_CONCURRENT_STREAMS, 0),)
ALLOWS_ONE_STREAM = ((MAX_CONCURRENT_STREAMS, 1),)
OPENS_NO_WINDOW = ((INITIAL_WINDOW_SIZE, 0),)


def answers(answer):
    """`answer(connection, stream)` for each request."""

    def play(connection):
        connection.greet()
        while True:
            answer(connection, connection.request())

    return play


def with_headers(*fields):
    """An answer that is headers alone, with the end of the stream."""
    return answers(lambda connection, stream: connection.headers(stream, fields, is_last=True))


def with_web_page(http_status, content_type="text/html"):
    def answer(connection, stream):
        # The beginning of the body is told if it is there with the headers.
        with connection.in_one_piece():
            connection.headers(stream, ((":status", http_status), ("content-type", content_type)))
            connection.write_frame(0, 1, stream, HTML.encode())

    return answers(answer)


def with_messages(*messages, flag=0, trailers=OK_TRAILERS, headers=GRPC_HEADERS):
    def answer(connection, stream):
        connection.headers(stream, headers)
        for message in messages:
            connection.message(stream, message, flag)
        connection.headers(stream, trailers, is_last=True)

    return answers(answer)


def without_trailers(connection):
    stream = connection.greet().request()
    connection.headers(stream, GRPC_HEADERS)
    connection.write_frame(0, 1, stream, b"\0\0\0\0\0")
    connection.stay()


def resets_streams_with(code):
    return answers(lambda connection, stream: connection.reset(stream, code))


def goes_away_from_all(connection):
    connection.greet().request()
    connection.goaway(0, 0, "max_age")
    connection.leave()


def goes_away_under_the_call(code, text):
    def play(connection):
        stream = connection.greet().request()
        connection.headers(stream, GRPC_HEADERS)
        connection.goaway(stream, code, text)
        connection.leave()

    return play


def aborts_after(*begun):
    """Resets the connection when these parts of an answer are sent, and the client's acknowledgement of a PING has shown that they are read."""

    def play(connection):
        stream = connection.greet().request()
        for part in begun:
            part(connection, stream)
        connection.write_frame(6, 0, 0, bytes(8))
        while connection.frame()[:2] != (6, 1):
            pass
        connection.abort()

    return play


def headers_part(connection, stream):
    connection.headers(stream, GRPC_HEADERS)


def half_a_message_part(connection, stream):
    connection.write_frame(0, 0, stream, b"\0\0\0\0\x08half")


def tells_of_the_call(file, settings=()):
    """Makes a file when the request is here, and never answers."""

    def play(connection):
        connection.greet(settings).request()
        file.touch()
        connection.stay()

    return play


def tells_of_the_connection(file):
    """Makes a file when the client's preface is here, and says nothing."""

    def play(connection):
        connection.read(24)
        file.touch()
        connection.stay()

    return play


def breaks_http2(connection):
    connection.greet().request()
    # DATA belongs to a stream.
    connection.write_frame(0, 0, 0, b"lost")
    connection.stay()


def is_not_serving(connection):
    """Answers every Watch with NOT_SERVING, and leaves it open."""
    connection.greet()
    while True:
        stream = connection.message_begun()
        connection.headers(stream, GRPC_HEADERS)
        connection.message(stream, b"\x08\x02")


def proxy_answers(answer):
    def play(connection):
        connection.read_until(b"\r\n\r\n")
        connection.write(answer)
        connection.leave()

    return play
