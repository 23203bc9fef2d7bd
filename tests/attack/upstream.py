"""The service behind Callgate, as a process of its own: it answers 202 to what it has read. `/drop` breaks off, `/unread` reads
no body. `--hang`: an issuer that takes connections and never answers."""

import asyncio
import sys


async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path == b"/drop":
                return
            if path == b"/unread":
                await asyncio.sleep(600)
            await skip_body(reader, head.lower())
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        writer.close()


async def skip_body(reader, head):
    if b"transfer-encoding: chunked" in head:
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            await reader.readexactly(size + 2)
            if size == 0:
                return
    elif b"content-length:" in head:
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))


async def hang(_reader, _writer):
    await asyncio.sleep(600)


async def main():
    server = await asyncio.start_server(hang if "--hang" in sys.argv else serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
