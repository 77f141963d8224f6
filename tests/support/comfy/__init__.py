"""ComfyUI for tests: a real one where COMFY_DIR says where it is, and a stand-in that follows its recorded answers."""
