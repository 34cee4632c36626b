"""What the screens ask for, without any Gradio: plain values in, plain values out."""
