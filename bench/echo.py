"""A gRPC server that does nothing: it answers every call with the same bytes. The limit for what a call can cost.

python -m bench.echo ADDRESS BYTES [shared]        shared: several of them on one address
"""

import asyncio
import sys

import grpc
import grpc.aio

METHOD = "/bench.Echo/Call"


async def serve(address: str, size: int, shared: bool) -> None:
    """Answer until killed, with `size` bytes a call."""
    answer = b"x" * size

    async def call(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return answer

    server = grpc.aio.server(options=[("grpc.so_reuseport", int(shared))])
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(call)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), "shared" in sys.argv[3:]))
