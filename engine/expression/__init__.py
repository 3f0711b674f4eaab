"""From a task's text to its operations: tokens and the parser."""
