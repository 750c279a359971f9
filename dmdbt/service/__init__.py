"""The command ``dmdbt serve``: predict one's own pairs in a browser, on this machine only.

It needs Starlette, uvicorn and python-multipart, which only this room imports: ``pip install 'dmdbt[serve]'``.
"""

from dmdbt.service.server import serve

__all__ = ["serve"]
