"""gRPC's interop cases, by the names they are published with, and the rules each of them exercises."""

# What every interop server serves.
EVERYWHERE = (
    "empty_unary",  # [IT-1]
    "large_unary",  # [IT-3]
    "client_streaming",  # [IT-6]
    "server_streaming",  # [IT-8]
    "ping_pong",  # [IT-10]
    "empty_stream",  # [IT-11]
    "custom_metadata",  # [IT-12]
    "status_code_and_message",  # [IT-13]
    "special_status_message",  # [IT-14]
    "unimplemented_method",  # [IT-15]
    "unimplemented_service",  # [IT-16]
    "cancel_after_begin",  # [IT-17]
    "cancel_after_first_response",  # [IT-18]
    "timeout_on_sleeping_server",  # [IT-19]
)

# On a server that judges each request by how it came, and compresses the responses it is asked to.
COMPRESSED = (
    "client_compressed_unary",  # [IT-4]
    "client_compressed_unary_noprobe",  # [IT-28]
    "server_compressed_unary",  # [IT-5]
    "client_compressed_streaming",  # [IT-7]
    "client_compressed_streaming_noprobe",  # [IT-28]
    "server_compressed_streaming",  # [IT-9]
)

# On a server that tells the load it is told to have: at the end of a call, and beside the calls, where each program listens itself.
LOADS = ("orca_per_rpc", "orca_oob")  # [IT-23], [IT-24]

SOAKS = ("rpc_soak", "channel_soak")  # [IT-21], [IT-22]

# On one server with its defaults.
ON_ONE = (
    *EVERYWHERE,
    *COMPRESSED,
    "concurrent_large_unary",  # [IT-26]
    "long_lived_channel",  # [IT-27]
    "very_large_request",  # [IT-28]
    *LOADS,
    *SOAKS,
)
# On two servers that say who they are.
ON_TWO = ("pick_first_unary",)  # [IT-20]
# On a server that allows two streams on a connection.
ON_LIMITED = ("max_concurrent_streams_connection_scaling",)  # [IT-25]

ALL = (*ON_ONE, *ON_TWO, *ON_LIMITED)
