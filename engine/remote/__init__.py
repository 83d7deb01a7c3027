"""Models on other servers: any that speaks OpenAI's API (vLLM, SGLang, TGI, llama.cpp), or Hugging Face Inference Providers."""

from .connection import INFERENCE_PROVIDERS, Connection
from .connections import Connections
from .server import RemoteModelInfo, RemoteServer

__all__ = ["INFERENCE_PROVIDERS", "Connection", "Connections", "RemoteModelInfo", "RemoteServer"]
