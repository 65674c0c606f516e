"""Behind HAProxy, which is told to speak HTTP/2 to both sides."""

from scenarios import behind
from server.balancers import HAProxy

NAME = "haproxy"


def run(findings, is_long):
    behind.play(findings, HAProxy, is_long, {})
