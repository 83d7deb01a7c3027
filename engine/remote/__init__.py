"""Models on other servers: any that speaks OpenAI's API (vLLM, SGLang, TGI, llama.cpp), or Hugging Face Inference Providers."""

from .connection import INFERENCE_PROVIDERS, Connection
from .connections import Connections
from .errors import RemoteBusy, RemoteError, RemoteFailed, RemoteKeyRefused, RemoteModelMissing, RemoteUnreachable
from .request import response_format
from .server import RemoteModelInfo, RemoteServer

__all__ = [
    "INFERENCE_PROVIDERS", "Connection", "Connections", "RemoteBusy", "RemoteError", "RemoteFailed", "RemoteKeyRefused",
    "RemoteModelInfo", "RemoteModelMissing", "RemoteServer", "RemoteUnreachable", "response_format",
]
