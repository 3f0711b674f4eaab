"""From a task's text to its tree: tokens, nodes and the parser."""
