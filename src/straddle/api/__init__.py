"""The node's interface: signed commands in, receipts out, and what the market does, over HTTP and WebSocket."""
