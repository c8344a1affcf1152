"""Drives the unmodified zstack-mcp-server through its MCP tools: one JSON call a line in, one answer a line out.

Runs in an environment of its own (requirements.txt beside this file), not in the project's.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    server = StdioServerParameters(
        command=str(Path(sys.executable).with_name("zstack-mcp-server")), env=dict(os.environ)
    )
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            call: dict[str, Any] = json.loads(line)
            answer = await session.call_tool("execute_api", call)
            sys.stdout.write(json.dumps(json.loads(answer.content[0].text)) + "\n")
            sys.stdout.flush()


asyncio.run(main())
