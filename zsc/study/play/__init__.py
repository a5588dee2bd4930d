"""`zsc play`: a page on which knobs are turned by hand. Everything but page.py and serve.py works without Gradio."""
