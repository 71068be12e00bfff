"""The remote server, for programs that can't get in by themselves: on stdio, and as a loopback endpoint.

Nothing here knows what a message means. A relay passes on the bytes that came, and reads of them only what decides
where they go and whether they may be sent again.
"""
