"""Samples -> LoRA adapters: what M_G and the stand-in for M_R learn from, and the training itself (section 4.2.5)."""
