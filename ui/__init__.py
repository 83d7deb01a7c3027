"""The page. It uses Gradio and the engine's public names only."""
