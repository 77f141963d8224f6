"""Runs the graphs of comfy_workflow steps on ComfyUI servers."""
