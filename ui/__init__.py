"""The page. Knows Gradio and the engine's public names, nothing deeper."""
