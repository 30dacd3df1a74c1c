"""A gRPC server that does nothing: it answers every call with the same bytes. The limit for what a call can cost.

python -m bench.echo ADDRESS BYTES
"""

import asyncio
import sys

import grpc
import grpc.aio

METHOD = "/bench.Echo/Call"


class _Echo(grpc.GenericRpcHandler):
    def __init__(self, answer: bytes) -> None:
        async def call(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return answer

        self._handler = grpc.unary_unary_rpc_method_handler(call)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handler if handler_call_details.method == METHOD else None


async def serve(address: str, size: int) -> None:
    """Answer until killed, with `size` bytes a call."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(b"x" * size),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
