"""The What-if screen: a question with parts of it changed, asked again."""
