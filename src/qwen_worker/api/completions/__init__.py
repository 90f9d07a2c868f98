"""Legacy completions: a text is continued, or a gap in it is filled. What editors complete code with."""
